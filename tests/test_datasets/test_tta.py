"""Test-time augmentation: the ground truth stays that of the image, or the data set says what is wrong."""

import copy

import pytest
import torch
from mmdet.registry import DATASETS, MODELS
from mmengine.config import Config
from mmengine.dataset import pseudo_collate

from ..helpers import CONFIGS

CONFIG = CONFIGS / 'yolov1/yolov1_nano_1xb16-12e_digits-112px.py'
FLIPS = [dict(type='RandomFlip', prob=1.0), dict(type='RandomFlip', prob=0.0)]


@pytest.fixture
def dataset(digits):
    """A function that builds the digits' test set with a pipeline."""

    def build(pipeline):
        cfg = copy.deepcopy(Config.fromfile(CONFIG).test_dataloader.dataset)
        cfg.data_root = str(digits / cfg.data_root) + '/'
        return DATASETS.build(dict(cfg, pipeline=pipeline))

    return build


@pytest.mark.parametrize(
    'path',
    [path for path in sorted((CONFIGS / '_base_/datasets').glob('*voc*')) if not path.stem.endswith('_images')]
    + [CONFIGS / '_base_/datasets/bccd_320.py'],
)
def test_every_voc_config_has_its_own(path):
    cfg = Config.fromfile(path)
    assert cfg.tta_model.type == 'DetTTAModel'
    *_, flips, annotations, pack = cfg.tta_pipeline[-1].transforms
    assert flips == FLIPS and annotations[0].type == 'LoadAnnotations'
    assert {'flip', 'flip_direction', *cfg.test_pipeline[-1].meta_keys} == set(pack[0].meta_keys)


def test_the_ground_truth_stays_and_the_image_is_flipped(dataset):
    cfg = Config.fromfile(CONFIG)
    plain, augmented = dataset(cfg.test_pipeline)[0], dataset(cfg.tta_pipeline)[0]
    assert [sample.flip for sample in augmented['data_samples']] == [True, False]
    torch.testing.assert_close(augmented['inputs'][0], plain['inputs'].flip(-1))
    for sample in augmented['data_samples']:
        assert torch.equal(sample.gt_instances.bboxes.tensor, plain['data_samples'].gt_instances.bboxes.tensor)


def test_a_detector_that_sees_the_truth_has_full_marks(dataset):
    """Detections of the flipped image are flipped back before they are merged and compared."""
    cfg = Config.fromfile(CONFIG)
    batch = pseudo_collate([dataset(cfg.tta_pipeline)[0]])

    class Oracle(torch.nn.Module):
        data_preprocessor = None

        def test_step(self, data):
            (sample,) = copy.deepcopy(data['data_samples'])
            boxes = sample.gt_instances.bboxes.tensor.clone()
            if sample.flip:
                boxes[:, [0, 2]] = sample.img_shape[1] - boxes[:, [2, 0]]
            sample.pred_instances = sample.gt_instances
            sample.pred_instances.bboxes = boxes
            sample.pred_instances.scores = torch.ones(len(boxes))
            return [sample]

    model = MODELS.build(dict(cfg.tta_model, module=Oracle()))
    (merged,) = model.test_step(batch)
    expected = batch['data_samples'][0][0].gt_instances
    found = sorted(zip(merged.pred_instances.labels.tolist(), merged.pred_instances.bboxes.tolist()))
    for (label, box), (wanted, truth) in zip(
        found, sorted(zip(expected.labels.tolist(), expected.bboxes.tensor.tolist()))
    ):
        assert label == wanted and box == pytest.approx(truth, abs=1e-3)
    assert len(found) == len(expected)


@pytest.mark.parametrize('what', ['mmdet_default', 'flip', 'resize'])
def test_a_pipeline_that_changes_the_truth_is_refused(dataset, what):
    cfg = Config.fromfile(CONFIG)
    load, resize, annotations, pack = cfg.test_pipeline
    pipeline = dict(
        mmdet_default=[load, resize, annotations, dict(type='TestTimeAug', transforms=[FLIPS, [pack]])],
        flip=[load, resize, annotations, FLIPS[0], pack],
        resize=[load, annotations, dict(resize, scale=(100, 100)), pack],
    )[what]
    with pytest.raises(ValueError, match=r'jpg: the pipeline changes the ground truth.*LoadAnnotations after Resize'):
        dataset(pipeline)[0]
