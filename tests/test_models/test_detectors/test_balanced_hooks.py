"""A run of BalancedDetector with the hooks of its config: they find the balancer and log its parts."""

import json

import pytest
from mmengine.config import Config
from mmengine.runner import Runner

from ...helpers import CONFIGS
from .tiny_detectors import FILES, SIZE, tiny_model


@pytest.fixture
def log_of(digits, tmp_path):
    """Trains a tiny detector on digits; returns the last line of its json log and the runner."""

    def run(name):
        cfg = Config.fromfile(CONFIGS / 'balanced' / FILES[name])
        dataset = Config.fromfile(CONFIGS / '_base_/datasets/digits_voc_112.py').train_dataloader.dataset
        dataset.data_root = str(digits / dataset.data_root) + '/'
        dataset.pipeline[2].scale = (SIZE, SIZE)
        dataset.pipeline.insert(3, dict(type='RandomFlip', prob=0.5))
        runner = Runner(
            tiny_model(name),
            work_dir=str(tmp_path),
            train_dataloader=dict(
                batch_size=4,
                sampler=dict(type='DefaultSampler'),
                collate_fn=dict(type='pseudo_collate'),
                dataset=dataset,
            ),
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.001), clip_grad=dict(max_norm=10)),
            train_cfg=dict(by_epoch=True, max_epochs=1),
            default_hooks=dict(logger=dict(type='LoggerHook', interval=8), checkpoint=None),
            custom_hooks=[cfg.balanced_hooks.balance_monitor, cfg.balanced_hooks.collapse_guard],
            log_processor=cfg.log_processor,
            default_scope='mmdet',
            experiment_name=f'{tmp_path.parent.name}_{tmp_path.name}',
        )
        runner.train()
        (log,) = tmp_path.glob('*/vis_data/scalars.json')
        return json.loads(log.read_text().splitlines()[-1]), runner

    return run


@pytest.mark.parametrize('name', ['retinanet', 'yolox'])
def test_parts_are_in_the_log(log_of, name):
    record, runner = log_of(name)
    parts = runner.model.loss_balancer.parts
    assert len(parts) >= 2
    kinds = ('balance_', 'raw_', 'share_', 'selected_', 'ap_lost_', 'loss_')
    assert {f'{kind}{part}' for kind in kinds for part in parts} <= set(record)
    assert sum(record[f'share_{part}'] for part in parts) == pytest.approx(1, abs=1e-4)
    assert 0 <= record['weights_entropy'] <= 1
    names = [type(hook).__name__ for hook in runner.hooks]
    assert names.index('BalanceMonitorHook') < names.index('LoggerHook')
    assert 'CollapseGuardHook' in names
