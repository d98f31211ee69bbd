"""Runs with ValidationSignal, of YOLO and of a detector of mmdet: what it measures on images out of training."""

import pytest
import torch
from mmengine.config import Config

from ...helpers import DIGITS_SLF
from .digits_runs import retinanet, run_config, train

MODELS = ('yolov1', 'retinanet')


def config(name, digits, work_dir, ann_file='VOC2007/ImageSets/Main/test.txt', **kwargs):
    """Two iterations an epoch, each of which measures on 4 images of ``ann_file``."""
    model = Config.fromfile(DIGITS_SLF).model if name == 'yolov1' else retinanet()
    cfg = run_config(digits, work_dir, model=model, **kwargs)
    signal = dict(
        type='ValidationSignal',
        dataset=dict(cfg.train_dataloader.dataset, ann_file=ann_file, indices=None),
        batch_size=4,
        interval=1,
    )
    owner = cfg.model.bbox_head if name == 'yolov1' else cfg.model
    owner.loss_balancer.signal = signal
    return cfg


def balancer_of(model):
    return model.loss_balancer if hasattr(model, 'loss_balancer') else model.bbox_head.loss_balancer


def prefix_of(name):
    return ('bbox_head.' if name == 'yolov1' else '') + 'loss_balancer.signal.'


@pytest.fixture(scope='module', params=MODELS)
def uninterrupted(request, digits, tmp_path_factory):
    """Name, runner and checkpoint of two epochs."""
    work_dir = tmp_path_factory.mktemp(f'validation_{request.param}')
    runner = train(config(request.param, digits, work_dir, epochs=2))
    return request.param, runner, torch.load(work_dir / 'epoch_2.pth')['state_dict']


def test_it_measures_what_moves_the_decision_network(uninterrupted):
    name, runner, state = uninterrupted
    balancer = balancer_of(runner.model)
    found = balancer.signal.alignment.mean
    assert found.isfinite().all() and found.abs().max() > 0
    if name == 'yolov1':  # the sum of the t_i of the formula is 0: what a part gains in direction, others lose
        assert found.sum().abs() < 1e-4 * found.abs().sum()
    assert state[prefix_of(name) + 'batches.steps'] == 4
    assert state[prefix_of(name) + 'alignment.count'] == (4 if name == 'yolov1' else 2)  # of its two parts in turn
    assert balancer.decision_network.output.weight.abs().sum() > 0  # it starts at 0


def test_its_images_are_not_those_of_the_training(uninterrupted):
    _, runner, _ = uninterrupted
    training = runner.train_dataloader.dataset
    paths = {training.get_data_info(index)['img_path'] for index in range(len(training))}
    own = balancer_of(runner.model).signal._image_ids
    assert len(paths) == 8 and len(own) == 16 and not paths & own


def test_a_resumed_run_measures_what_the_uninterrupted_one_does(uninterrupted, digits, tmp_path):
    name, _, theirs = uninterrupted
    train(config(name, digits, tmp_path, epochs=1))
    train(config(name, digits, tmp_path, epochs=2, resume=True))
    ours = torch.load(tmp_path / 'epoch_2.pth')['state_dict']
    assert set(ours) == set(theirs)
    assert all(torch.equal(value, theirs[key]) for key, value in ours.items())


@pytest.mark.parametrize('name', MODELS)
def test_images_of_the_training_are_refused(name, digits, tmp_path):
    cfg = config(name, digits, tmp_path, ann_file='VOC2007/ImageSets/Main/trainval.txt')
    wanted = (
        r'the signal ValidationSignal: \S+\.jpg is an image of the training batch and of the validation data.*'
        r"dict\(type='HeldOutSplit', dataset=\.\.\., part='train'\)"
    )
    with pytest.raises(ValueError, match=wanted):
        train(cfg)


def test_too_few_images(digits, tmp_path):
    cfg = config('yolov1', digits, tmp_path)
    cfg.model.bbox_head.loss_balancer.signal.batch_size = 17
    with pytest.raises(ValueError, match=r'batch_size must be between 1 .* and 16 \(the images of the data set\)'):
        train(cfg)
