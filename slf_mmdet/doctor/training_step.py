"""One step of a training, on random images."""

from typing import Optional

SIZE = 112


def training_step() -> float:
    """Trains a small YOLO with SLF for one step, and returns its loss."""
    import torch
    from mmengine.config import Config
    from mmengine.optim import OptimWrapper
    from mmengine.registry import DefaultScope

    import slf_mmdet

    slf_mmdet.register_all_modules()
    from mmdet.registry import MODELS

    from ..models.detectors.random_batch import random_batch
    from ..paths import get_config_path

    cfg = Config.fromfile(get_config_path('slf/slf_yolov1_nano_1xb16-12e_digits-112px.py'))
    with DefaultScope.overwrite_default_scope('mmdet'), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = MODELS.build(cfg.model).train()
        model.init_weights()
        inputs, samples = random_batch(SIZE, with_masks=False)
        optimizer = OptimWrapper(torch.optim.SGD(model.parameters(), lr=1e-4))
        losses = model.train_step(dict(inputs=list(inputs), data_samples=samples), optimizer)
    return float(losses['loss'])


def problem() -> Optional[str]:
    """Why a step cannot be trained; ``None`` if it can."""
    try:
        loss = training_step()
    except Exception as error:  # whatever an installation lacks
        return f'{type(error).__name__}: {error}'
    return None if loss == loss and abs(loss) != float('inf') else f'the loss is {loss}'
