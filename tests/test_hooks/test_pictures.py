"""Precision-recall curves and pictures of the weights, by hand and in a run on the digits."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MessageHub
from mmengine.runner import Runner
from mmengine.structures import InstanceData

from slf_mmdet.hooks import PrecisionRecallHook
from slf_mmdet.hooks.precision_recall import FILE, curve, draw_precision_recall
from slf_mmdet.hooks.weight_picture import draw_weights, weights_so_far

from ..helpers import DIGITS_SLF


class Pictures:
    def __init__(self):
        self.added = []

    def add_image(self, name, image, step):
        self.added.append((name, image.shape, image.dtype, step))


def instances(boxes, labels, **fields):
    return InstanceData(
        bboxes=torch.tensor(boxes, dtype=torch.float).reshape(-1, 4),
        labels=torch.tensor(labels, dtype=torch.long),
        **fields,
    )


class Images(list):
    """A data set of so many images."""

    def __init__(self, number, *classes):
        super().__init__(range(number))
        self.metainfo = dict(classes=classes)


def sample(found, scores, true, ignored=()):
    """Boxes of one class, 0."""
    return SimpleNamespace(
        pred_instances=instances(found, [0] * len(found), scores=torch.tensor(scores)),
        gt_instances=instances(true, [0] * len(true)),
        ignored_instances=instances(list(ignored), [0] * len(ignored)),
    )


def test_curve_by_hand(tmp_path):
    """Scores 0.9 (right), 0.8 (wrong), 0.7 (right), 0.6 (ignored): recall 1/3, 1/3, 2/3; precision 1, 1/2, 2/3."""
    a, b, c, far = [0, 0, 10, 10], [20, 20, 40, 40], [50, 50, 60, 60], [80, 80, 95, 95]
    samples = [sample([a, far], [0.9, 0.8], [a, c]), sample([b, far], [0.7, 0.6], [b], [far])]
    pictures = Pictures()
    loader = SimpleNamespace(dataset=Images(2, 'thing', 'absent'))
    runner = SimpleNamespace(val_dataloader=loader, log_dir=str(tmp_path), epoch=3, iter=30, visualizer=pictures)
    hook = PrecisionRecallHook()
    hook.before_val_epoch(runner)
    hook.after_val_iter(runner, 0, outputs=samples[:1])
    hook.after_val_iter(runner, 1, outputs=samples[1:])
    hook.after_val_epoch(runner)
    written = json.loads((tmp_path / FILE).read_text())
    assert (written['epoch'], written['iou_thr']) == (3, 0.5)
    thing = written['classes']['thing']
    assert thing['recall'] == pytest.approx([1 / 3, 1 / 3, 2 / 3, 2 / 3], abs=1e-5)
    assert thing['precision'] == pytest.approx([1, 1 / 2, 2 / 3, 2 / 3], abs=1e-5)
    assert thing['objects'] == 3
    assert thing['ap'] == pytest.approx(1 / 3 + 2 / 9)  # area under the precision made non-increasing
    assert written['classes']['absent'] == dict(ap=0.0, objects=0, recall=[], precision=[])
    ((name, shape, dtype, step),) = pictures.added
    assert name == 'precision_recall' and shape[2] == 3 and dtype == np.uint8 and step == 30
    assert list(tmp_path.iterdir()) == [tmp_path / FILE]


def test_long_curves_are_thinned():
    recall = np.linspace(0, 1, 5000)
    found = curve(dict(recall=recall, precision=1 - recall, ap=0.5, num_gts=9))
    assert len(found['recall']) == 200 and found['recall'][0] == 0 and found['recall'][-1] == 1


def test_nothing_to_draw():
    assert draw_precision_recall({'a': dict(recall=[], precision=[])}) is None


@pytest.mark.parametrize('value', [0, 1, -0.5, 'x'])
def test_wrong_threshold(value):
    with pytest.raises(ValueError, match=r'PrecisionRecallHook: iou_thr must be in \(0, 1\)'):
        PrecisionRecallHook(iou_thr=value)


def test_weights_are_means_of_ranges():
    hub = MessageHub.get_instance('test_weights_are_means_of_ranges')
    for value in range(1000):
        hub.update_scalar('train/balance_cls', float(value))
        hub.update_scalar('train/loss_cls', 1.0)
    weights = weights_so_far(hub)
    assert list(weights) == ['cls'] and weights['cls'].tolist() == list(range(1000))
    (line,) = draw_weights(weights).axes[0].lines
    assert line.get_xdata()[:2].tolist() == [1.5, 3.5] and line.get_ydata()[:2].tolist() == [0.5, 2.5]
    assert len(line.get_xdata()) == 500


def test_run_on_the_digits(digits, tmp_path, monkeypatch):
    """The mean of the average precisions is the mAP of the evaluator; both pictures are in TensorBoard."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    monkeypatch.chdir(digits)
    cfg = Config.fromfile(DIGITS_SLF)
    cfg.work_dir = str(tmp_path)
    cfg.train_cfg.update(max_epochs=6, val_interval=6)
    cfg.val_evaluator.update(eval_mode='area', iou_thrs=[0.01])  # little is found so early
    # mmengine returns the visualizer of this name, if another run in this process had one
    cfg.visualizer.update(name='test_run_on_the_digits', vis_backends=[dict(type='TensorboardVisBackend')])
    cfg.custom_hooks = [dict(type='WeightPictureHook'), dict(type='PrecisionRecallHook', iou_thr=0.01)]
    cfg.model.test_cfg.score_thr = 0.0
    for split in ('train', 'val', 'test'):
        cfg[f'{split}_dataloader'].update(num_workers=0, persistent_workers=False)
    cfg.experiment_name = 'test_run_on_the_digits'
    runner = Runner.from_cfg(cfg)
    runner.train()
    (path,) = tmp_path.glob(f'*/{FILE}')
    classes = json.loads(path.read_text())['classes']
    present = [found['ap'] for found in classes.values() if found['objects']]
    assert len(classes) == 10
    reported = runner.message_hub.get_scalar('val/pascal_voc/mAP').current()
    assert float(reported) > 0
    assert np.mean(present) == pytest.approx(float(reported), abs=1e-4)
    (events,) = tmp_path.glob('*/vis_data/events*')
    assert set(EventAccumulator(str(events)).Reload().Tags()['images']) >= {'loss_weights', 'precision_recall'}


def test_images_that_fill_up_the_last_batch_of_several_processes_count_once(tmp_path):
    """Three images in two processes: one of them is evaluated twice."""
    loader = SimpleNamespace(dataset=Images(3, 'thing'))
    runner = SimpleNamespace(val_dataloader=loader, log_dir=str(tmp_path), epoch=1, iter=1)
    hook = PrecisionRecallHook(draw=False)
    hook.before_val_epoch(runner)
    box = [0, 0, 10, 10]
    hook.after_val_iter(runner, 0, outputs=[sample([box], [0.9], [box])] * 4)
    hook.after_val_epoch(runner)
    assert json.loads((tmp_path / FILE).read_text())['classes']['thing']['objects'] == 3
