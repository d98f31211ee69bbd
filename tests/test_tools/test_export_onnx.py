"""tools/deployment/export_onnx.py: what onnxruntime computes is what the detector finds before NMS."""

import runpy

import numpy as np
import pytest
import torch
from mmdet.models.layers import multiclass_nms
from mmdet.registry import MODELS
from mmengine.config import Config

from slf_mmdet.models.exportable import ExportableYOLOV1

from ..helpers import CONFIGS, ROOT

for needed in ('onnx', 'onnxscript', 'onnxruntime'):
    pytest.importorskip(needed, reason=f'needs {needed}, of the extra "onnx"')

TOOL = ROOT / 'tools/deployment/export_onnx.py'
# Name -> pixels of 2 x 2 cells. Each export takes seconds; the networks of 24 layers and VGG-16 differ in size only.
YOLOS = {'nano_1xb16-12e_digits-112px': 32, 'd9_8xb8-135e_voc0712-448px': 128}


def run_tool(*args):
    runpy.run_path(str(TOOL))['main']([str(arg) for arg in args])


@pytest.fixture(params=YOLOS)
def small_yolo(request, tmp_path):
    """(config, checkpoint, detector, pixels) of a small version with confident boxes."""
    pixels = YOLOS[request.param]
    config = CONFIGS / f'yolov1/yolov1_{request.param}.py'
    cfg = Config.fromfile(config)
    cfg.test_dataloader.dataset.pipeline[1].scale = (pixels, pixels)
    cfg.model.bbox_head.update(grid_size=2, hidden_channels=(16,))
    path = tmp_path / 'small.py'
    cfg.dump(path)
    torch.manual_seed(0)
    detector = MODELS.build(cfg.model).eval()
    torch.nn.init.normal_(detector.bbox_head.layers[-1].bias)
    torch.save(dict(state_dict=detector.state_dict()), tmp_path / 'small.pth')
    return path, tmp_path / 'small.pth', detector, pixels


def test_equals_pytorch(small_yolo, tmp_path, capsys):
    config, checkpoint, detector, pixels = small_yolo
    run_tool(config, checkpoint, '--out', tmp_path / 'new/yolo.onnx', '--check')
    assert 'equal to PyTorch' in capsys.readouterr().out
    assert [path.name for path in (tmp_path / 'new').iterdir()] == ['yolo.onnx']  # weights included

    import onnxruntime

    session = onnxruntime.InferenceSession(str(tmp_path / 'new/yolo.onnx'), providers=['CPUExecutionProvider'])
    images = 255 * np.random.default_rng(0).random((3, 3, pixels, pixels), dtype=np.float32)  # any number of images
    boxes, scores = session.run(['boxes', 'scores'], dict(image=images))
    assert boxes.shape == (3, 8, 4) and scores.shape == (3, 8, detector.bbox_head.num_classes) and scores.max() > 0.1
    # The detector itself, from its preprocessing to its boxes in pixels
    meta = dict(img_shape=(pixels, pixels), batch_input_shape=(pixels, pixels), scale_factor=(1.0, 1.0))
    data = detector.data_preprocessor(dict(inputs=list(torch.from_numpy(images)), data_samples=None))
    with torch.no_grad():
        outputs = detector.bbox_head(detector.extract_feat(data['inputs']))
        cfg = detector.bbox_head.test_cfg
        found = detector.bbox_head.predict_by_feat(*outputs, [meta] * 3)
    for index in range(3):
        in_pixels = torch.from_numpy(boxes[index]) * pixels
        padded = torch.nn.functional.pad(torch.from_numpy(scores[index]), (0, 1))  # mmdet expects a background class
        expected, labels = multiclass_nms(in_pixels, padded, cfg.score_thr, cfg.nms, cfg.max_per_img)
        assert len(expected) > 0
        torch.testing.assert_close(found[index].bboxes, expected[:, :4], rtol=1e-4, atol=1e-4 * pixels)
        torch.testing.assert_close(found[index].scores, expected[:, 4], rtol=1e-4, atol=1e-4)
        assert found[index].labels.tolist() == labels.tolist()


def test_only_yolov1_can_be_exported():
    with pytest.raises(ValueError, match='only a detector with a YOLOV1Head .*, found Linear'):
        ExportableYOLOV1(torch.nn.Linear(2, 2))


@pytest.mark.parametrize(
    'config', ['translation/lstm-1_ce_1xb128-20e_multi30k-de-en.py', 'graphs/fc_mse_1xb200-40e_dpp4.py']
)
def test_config_without_a_size(config, tmp_path):
    with pytest.raises(SystemExit, match='pipeline has no Resize with a scale, so the size of the input is not known'):
        run_tool(CONFIGS / config, '--out', tmp_path / 'x.onnx')


def test_wrong_config_is_named(tmp_path):
    with pytest.raises(SystemExit, match=r'^export_onnx: .*missing.py'):
        run_tool(tmp_path / 'missing.py', '--out', tmp_path / 'x.onnx')
