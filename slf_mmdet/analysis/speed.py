"""Images per second of detectors, from array to boxes, and of their networks alone."""

import time
from statistics import median
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

import numpy as np
import torch
from mmcv.transforms import Compose
from mmdet.registry import MODELS
from mmdet.utils import get_test_pipeline_cfg
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import load_checkpoint

Run = Callable[[], object]


@torch.no_grad()
def images_per_second(
    configs: Sequence[str],
    size: Tuple[int, int],
    rounds: int,
    device: str,
    checkpoint: Optional[str] = None,
    options: Optional[Dict[str, Any]] = None,
) -> Dict[str, Tuple[float, float]]:
    """Measures detectors side by side at batch size 1, in interleaved rounds.

    Args:
        configs: config files.
        size: width and height of the image.
        rounds: measured calls of each; the median counts.
        device: of torch.
        checkpoint: weights, random ones if ``None``.
        options: changes to every config.

    Returns:
        Config -> (array to boxes, network alone).
    """
    width, height = size
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    runs: Dict[Tuple[str, str], Run] = {}
    for config in configs:
        for what, run in _runs_of(config, image, device, checkpoint, options or {}).items():
            runs[config, what] = run
    seconds: Dict[Tuple[str, str], List[float]] = {key: [] for key in runs}
    for index in range(-2, rounds):
        for key, run in runs.items():
            value = _seconds_of(run, device)
            if index >= 0:
                seconds[key].append(value)
    return {
        config: (1 / median(seconds[config, 'detector']), 1 / median(seconds[config, 'network'])) for config in configs
    }


def _runs_of(
    config: str, image: np.ndarray, device: str, checkpoint: Optional[str], options: Dict[str, Any]
) -> Dict[str, Run]:
    """Functions that run a detector and its network alone."""
    from mmdet.apis import inference_detector  # needs the ops that slf_mmdet provides

    cfg = Config.fromfile(config)
    cfg.merge_from_dict(options)
    init_default_scope(cfg.get('default_scope', 'mmdet'))
    detector = MODELS.build(cfg.model).to(device).eval()
    detector.cfg = cfg
    if checkpoint:
        load_checkpoint(detector, checkpoint, map_location=device)
    steps = get_test_pipeline_cfg(cfg)
    steps[0].type = 'mmdet.LoadImageFromNDArray'
    pipeline = Compose(steps)
    data = pipeline(dict(img=image, img_id=0))
    data = dict(inputs=[data['inputs']], data_samples=[data['data_samples']])
    ready = detector.data_preprocessor(data, training=False)
    return dict(
        detector=lambda: inference_detector(detector, image, pipeline), network=lambda: detector(**ready, mode='tensor')
    )


def _seconds_of(run: Run, device: str) -> float:
    """Wall time of one call, until the device has finished."""
    wait = torch.cuda.synchronize if device.startswith('cuda') else lambda: None
    wait()
    start = time.perf_counter()
    run()
    wait()
    return time.perf_counter() - start
