"""Writing a YOLOv1 as ONNX, and comparing onnxruntime with PyTorch."""

import inspect
import time
from pathlib import Path
from statistics import median
from typing import Any, Callable, Dict, Optional, Tuple

import numpy as np
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import load_checkpoint
from torch import Tensor

from ..utils.files import whole_file
from ..utils.optional import needs
from .exportable import ExportableYOLOV1

OUTPUTS = ['boxes', 'scores']
TOLERANCE = 1e-4
# It would write the weights to a second file. Older torch has no such setting, and writes one
NEW_EXPORTER = 'external_data' in inspect.signature(torch.onnx.export).parameters


def build_model(config: str, checkpoint: Optional[str], options: dict) -> Tuple[ExportableYOLOV1, Tensor]:
    """The model to export, and a random image of the size that it takes.

    Args:
        config: config file.
        checkpoint: ``None`` for random weights.
        options: changes to the config.

    Raises:
        ValueError: the config is not one of a YOLOv1, or its test pipeline does not resize to a size of its own.
    """
    cfg = Config.fromfile(config)
    cfg.merge_from_dict(options)
    init_default_scope(cfg.get('default_scope', 'mmdet'))
    pipeline = ((cfg.get('test_dataloader') or {}).get('dataset') or {}).get('pipeline') or []
    sizes = [step['scale'] for step in pipeline if step['type'] == 'Resize' and 'scale' in step]
    if not sizes:
        raise ValueError(
            f'{config}: test_dataloader.dataset.pipeline has no Resize with a scale, so the size of the input is not '
            'known.'
        )
    model = ExportableYOLOV1(MODELS.build(cfg.model))
    if checkpoint is not None:
        load_checkpoint(model.detector, checkpoint, map_location='cpu')
    width, height = sizes[-1]
    return model, 255 * torch.rand(1, 3, height, width)


def export(model: ExportableYOLOV1, image: Tensor, path: Path) -> None:
    """Writes one file with all weights; the number of images stays free.

    Raises:
        ModuleNotFoundError: a package of the extra ``onnx`` is not installed.
    """
    with needs('The export', 'onnx', 'onnx'):
        import onnx  # noqa: F401
    if NEW_EXPORTER:
        with needs('The export', 'onnxscript', 'onnx'):
            import onnxscript  # noqa: F401
    path.parent.mkdir(parents=True, exist_ok=True)
    axes = {name: {0: 'batch'} for name in ('image', *OUTPUTS)}
    images = torch.cat([image, image])  # a batch of one would be taken for a constant
    settings: Dict[str, Any] = dict(external_data=False) if NEW_EXPORTER else {}
    with whole_file(path) as partial:
        torch.onnx.export(
            model,
            (images,),
            str(partial),
            input_names=['image'],
            output_names=OUTPUTS,
            dynamic_axes=axes,
            **settings,
        )


def check(model: ExportableYOLOV1, image: Tensor, path: Path) -> None:
    """Compares one and two images with PyTorch, and the speed of one.

    Raises:
        AssertionError: an output differs by more than the tolerance.
    """
    with needs('The check', 'onnxruntime', 'onnx'):
        import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(str(path), options, providers=['CPUExecutionProvider'])
    model = model.cpu()
    with torch.no_grad():
        for images in (image, torch.cat([image.flip(-1), image])):
            found = session.run(OUTPUTS, dict(image=images.numpy()))
            for name, ours, theirs in zip(OUTPUTS, model(images), found):
                np.testing.assert_allclose(theirs, ours.numpy(), rtol=TOLERANCE, atol=TOLERANCE, err_msg=name)
        seconds = [
            (_seconds_of(lambda: model(image)), _seconds_of(lambda: session.run(OUTPUTS, dict(image=image.numpy()))))
            for _ in range(10)
        ]
    in_torch, in_onnx = (1 / median(values) for values in zip(*seconds))
    print(
        f'{path}: equal to PyTorch to {TOLERANCE}. Images per second, batch 1, {torch.get_num_threads()}-threaded CPU: '
        f'PyTorch {in_torch:.1f}, onnxruntime {in_onnx:.1f}.'
    )


def _seconds_of(run: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start
