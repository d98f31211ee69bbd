"""Runs of tiny detectors on a few images of the digits, as a user's config makes them."""

from ast import literal_eval

from mmengine.config import Config
from mmengine.runner import Runner

from ...helpers import CONFIGS, IN_PROCESS
from .tiny_detectors import tiny_model


def run_config(digits, work_dir, epochs=1, model=None, **kwargs):
    """A run on 8 images, evaluated on 16: of a model's config, or a RetinaNet with the recommended balancer."""
    cfg = Config.fromfile(CONFIGS / 'yolov1/yolov1_nano_1xb16-12e_digits-112px.py')
    cfg.model = model or retinanet()
    cfg.merge_from_dict({key: literal_eval(value) for key, value in (option.split('=') for option in IN_PROCESS)})
    for name in ('train', 'val', 'test'):
        dataset = cfg[f'{name}_dataloader'].dataset
        dataset.data_root = str(digits / dataset.data_root) + '/'
    cfg.train_dataloader.update(batch_size=4)
    cfg.train_dataloader.dataset.indices = 8
    cfg.train_cfg.update(max_epochs=epochs, val_interval=10)
    cfg.param_scheduler = []
    cfg.optim_wrapper.optimizer.lr = 1e-3
    cfg.merge_from_dict(dict(work_dir=str(work_dir), randomness=dict(seed=0, deterministic=True), **kwargs))
    cfg.visualizer = dict(type='DetLocalVisualizer', name=f'vis_{work_dir.name}')
    return cfg


def retinanet():
    model = tiny_model('retinanet')
    model.test_cfg.score_thr = 0.0  # it has learnt next to nothing
    return model


def train(cfg):
    cfg.experiment_name = str(cfg.work_dir).replace('/', '_') + str(cfg.train_cfg.max_epochs) + str(cfg.resume)
    runner = Runner.from_cfg(cfg)
    runner.train()
    return runner
