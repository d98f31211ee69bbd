"""What pairs two runs: the network that they begin with, the images that they see."""

from types import SimpleNamespace

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.structures import BaseDataElement
from torch import nn

from slf_mmdet.comparison.record import PairedStartHook, RunRecordHook, describe_network, network_state
from slf_mmdet.losses import LargeMarginLinear

CANDIDATES = [dict(type='ClassMSELoss'), dict(type='ClassMAELoss')]


def head(classifier='Linear', loss='CrossEntropyLoss', in_channels=4, **settings):
    cfg = dict(type='SLFClsHead', num_classes=3, in_channels=in_channels, hidden_channels=(5,))
    return MODELS.build(dict(cfg, classifier=dict(type=classifier), loss=dict(type=loss, **settings)))


def begin(tmp_path, model, iteration=0):
    """Lets the hook act on a model at the start of its training; returns the model's state."""
    PairedStartHook(str(tmp_path / 'start.pth'), seed=7).before_train(SimpleNamespace(iter=iteration, model=model))
    return model.state_dict()


def copied(model):
    return {key: value.clone() for key, value in model.state_dict().items()}


def equal(first, second):
    return list(first) == list(second) and all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize(
    'loss',
    [
        dict(loss='StochasticLoss', candidates=CANDIDATES, feature_dim=3),
        dict(loss='AdaptiveRobustLoss', num_channels=3, activation='softmax'),
        dict(loss='SmoothZeroOneLoss'),
    ],
    ids=lambda loss: loss['loss'],
)
def test_what_belongs_to_a_loss_is_no_part_of_the_network(loss):
    assert list(network_state(head(**loss))) == list(network_state(head())) == list(head().state_dict())


def test_losses_are_known_by_name_or_by_kind():
    class Branch(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 1, 1)
            self.loss_cls = nn.Linear(1, 1)
            self.aux_loss = nn.Linear(1, 1)
            self.lossless = nn.Linear(1, 1)
            self.criterion = MODELS.build(dict(type='AdaptiveRobustLoss', num_channels=3))
            self.layer = LargeMarginLinear(2, 3)  # counts its steps, for its annealing

    state = network_state(nn.Sequential(Branch()))
    assert list(state) == ['0.conv.weight', '0.conv.bias', '0.lossless.weight', '0.lossless.bias', '0.layer.weight']


def test_runs_start_from_one_network_and_one_random_state(tmp_path):
    first, numbers = begin(tmp_path, head()), torch.rand(3)
    torch.manual_seed(1)
    assert equal(first, begin(tmp_path, head())) and torch.equal(numbers, torch.rand(3))


def test_a_layer_without_a_bias_pairs_with_one_that_has_it(tmp_path):
    first = begin(tmp_path, head())
    second = begin(tmp_path, head('LargeMarginLinear'))
    assert {key for key in first if key in second and torch.equal(first[key], second[key])} == {
        'hidden.0.weight',
        'hidden.0.bias',
        'classifier.weight',
    }


def test_another_network_takes_what_it_has_in_common(tmp_path):
    first = begin(tmp_path, head())
    other = head(in_channels=8)
    before = copied(other)
    after = begin(tmp_path, other)
    assert torch.equal(after['hidden.0.weight'], before['hidden.0.weight'])  # of another shape
    assert torch.equal(after['classifier.weight'], first['classifier.weight'])


def test_a_resumed_run_keeps_what_it_has_learnt(tmp_path):
    begin(tmp_path, head())
    model = head()
    before = copied(model)
    assert equal(begin(tmp_path, model, iteration=5), before)


def test_description_of_a_network():
    model = nn.BatchNorm1d(2)
    before = describe_network(model)
    counts = dict(weight=2, bias=2, running_mean=2, running_var=2, num_batches_tracked=1)
    assert {key: count for key, (count, _) in before.items()} == counts
    with torch.no_grad():
        model.bias[1] = 1e-7
    assert [key for key, value in describe_network(model).items() if value != before[key]] == ['bias']


def fingerprint(tmp_path, *batches):
    hook = RunRecordHook(str(tmp_path))
    for images in batches:
        samples = [BaseDataElement(metainfo=metainfo) for _, metainfo in images]
        hook.before_train_iter(None, 0, dict(inputs=[image for image, _ in images], data_samples=samples))
    return hook.fingerprint


def runner_at(iteration, val_loop=None, **loop):
    """At an iteration of a training by iterations that validates every second one, from the second on."""
    loop = SimpleNamespace(**{**dict(val_begin=2, val_interval=2), **loop})
    model = nn.Linear(1, 1)
    return SimpleNamespace(iter=iteration, max_iters=5, model=model, train_loop=loop, val_loop=val_loop)


@pytest.mark.parametrize(
    ('iteration', 'loop', 'due'),
    [
        (1, {}, False),
        (2, {}, True),
        (3, {}, False),
        (5, {}, True),
        (2, dict(val_begin=3), False),
        (4, dict(val_interval=4), True),
    ],
)
def test_a_validation_that_a_kill_prevented_is_made_up_for(tmp_path, iteration, loop, due):
    runs = []
    hook = RunRecordHook(str(tmp_path))
    runner = runner_at(iteration, **loop)
    runner.val_loop = SimpleNamespace(run=lambda: (runs.append(1), hook.after_val_epoch(runner, dict(mAP=0.5))))
    hook.before_train(runner)
    assert len(runs) == due and hook.validations == ({iteration: dict(mAP=0.5)} if due else {})
    again = RunRecordHook(str(tmp_path))  # killed again, after the validation
    again.before_train(runner)
    assert len(runs) == due and again.validations == hook.validations and again.metrics == hook.metrics


def test_a_validation_of_the_future_is_forgotten(tmp_path):
    hook = RunRecordHook(str(tmp_path))
    for iteration in (2, 4):
        hook.after_val_epoch(SimpleNamespace(iter=iteration), dict(mAP=iteration / 10))
    resumed = RunRecordHook(str(tmp_path))
    resumed.before_train(runner_at(3))
    assert resumed.validations == {2: dict(mAP=0.2)} and resumed.metrics is None


def test_a_resumed_run_has_the_record_of_the_whole_training(tmp_path):
    samples = [[(torch.zeros(1), dict(img_path=str(i)))] for i in range(3)]
    whole = fingerprint(tmp_path, *samples)
    first, second = RunRecordHook(str(tmp_path)), RunRecordHook(str(tmp_path))
    checkpoint = {}
    for hook, images, iteration in ((first, samples[:2], 0), (second, samples[2:], 2)):
        hook.after_load_checkpoint(None, checkpoint)
        hook.before_train(runner_at(iteration))
        for ((image, metainfo),) in images:
            batch = dict(inputs=[image], data_samples=[BaseDataElement(metainfo=metainfo)])
            hook.before_train_iter(None, 0, batch)
        hook.before_save_checkpoint(None, checkpoint)
    assert second.fingerprint == whole != first.fingerprint
    assert second.seconds > first.seconds - 1e-3 and checkpoint['comparison']['seconds'] <= second.seconds


def test_images_before_a_checkpoint_without_a_record_are_not_known(tmp_path):
    hook = RunRecordHook(str(tmp_path))
    hook.after_load_checkpoint(None, {})
    hook.before_train(runner_at(2))
    hook.before_train_iter(None, 0, dict(inputs=[torch.zeros(1)], data_samples=[BaseDataElement(metainfo={})]))
    assert hook.fingerprint is None


@pytest.mark.parametrize('key', ['img_path', 'img_id', 'sample_idx', None])
def test_the_fingerprint_knows_images_and_their_order(tmp_path, key):
    """By path or number, as mmdet and mmpretrain give them, or by content where a pipeline keeps neither."""
    images = [(torch.full((1, 2, 2), float(i)), {} if key is None else {key: i}) for i in range(4)]
    reference = fingerprint(tmp_path, images[:2], images[2:])
    assert reference == fingerprint(tmp_path, images[:2], images[2:])
    assert reference != fingerprint(tmp_path, images[2:], images[:2])
    assert reference != fingerprint(tmp_path, images[:2])
