"""What a balancer does, in the log of a run."""

import json
import math
import re

import pytest
import torch
from mmengine.registry import VISBACKENDS
from mmengine.visualization import BaseVisBackend

from slf_mmdet.balancers import DetectionQuality, StaticBalancer, StepRecord
from slf_mmdet.hooks import BalanceMonitorHook
from slf_mmdet.hooks.balance_monitor import summary
from slf_mmdet.slf import SLFBalancer

STATIC = dict(type='StaticBalancer', base_weights=dict(box=3.0, cls=1.0))
SLF = dict(type='SLFBalancer', signal=dict(type='TrainingLoss'), base_weights=dict(box=3.0, cls=1.0))


def history(runner, key):
    return runner.message_hub.get_scalar(f'train/{key}').data[0].tolist()


STEPS = StepRecord(
    losses=torch.tensor([[1.0, 2.0], [3.0, 2.0]]),
    weights=torch.tensor([[2.0, 1.0], [4.0, 1.0]]),  # means 3 and 1
    weighted=torch.tensor([[2.0, 2.0], [10.0, 2.0]]),  # means 6 and 2
    selected=torch.tensor([[0.5, 1.0], [0.25, 0.5]]),
)
BY_HAND = {
    'raw_a': 2.0,
    'raw_b': 2.0,
    'share_a': 0.75,
    'share_b': 0.25,
    'weights_entropy': -(0.75 * math.log(0.75) + 0.25 * math.log(0.25)) / math.log(2),
    'weights_smallest_first': 0.5,  # a is smallest and first in the first step; in the second, b is smallest
}


def test_summary_by_hand():
    assert summary(STEPS, StaticBalancer(parts=('a', 'b'))) == pytest.approx(BY_HAND)


@pytest.mark.parametrize('prefix', ['', 'roi_head_'])
def test_summary_of_slf_by_hand(prefix):
    """Which parts were selected, and the average precision lost with each, the mean of two measurements."""
    balancer = SLFBalancer(parts=('a', 'b'), feature_dim=1, signal=dict(type='DeltaAP', momentum=0.5))
    for gains in ([0.1, -0.2], [0.4, 0.1]):
        balancer.signal.gains.update(torch.tensor(gains))
    expected = {
        **BY_HAND,
        'selected_a': 0.375,
        'selected_b': 0.75,
        'ap_lost_a': (0.5 * 0.1 + 0.4) / 1.5,
        'ap_lost_b': (0.5 * -0.2 + 0.1) / 1.5,
    }
    expected = {
        re.sub('^(raw|share|weights|selected|ap_lost)_', rf'\1_{prefix}', key): value for key, value in expected.items()
    }
    assert summary(STEPS, balancer, prefix) == pytest.approx(expected)


def one_step(weights, losses=None):
    values = torch.tensor(weights)
    return StepRecord(torch.ones_like(values) if losses is None else torch.tensor(losses), values, values, values)


def test_smallest_part_among_equal_weights_has_not_the_most():
    found = summary(one_step([[1.0, 1.0]], [[1.0, 2.0]]), StaticBalancer(parts=('a', 'b')))
    assert found['weights_smallest_first'] == 0


@pytest.mark.parametrize(('weights', 'entropy'), [([[1.0, 1.0, 1.0]], 1.0), ([[0.0, 7.0, 0.0]], 0.0), ([[2.0]], 0.0)])
def test_entropy_of_equal_weights_of_a_corner_and_of_one_part(weights, entropy):
    balancer = StaticBalancer(parts=tuple('abc'[: len(weights[0])]))
    assert summary(one_step(weights), balancer)['weights_entropy'] == pytest.approx(entropy)


def test_log_holds_means_since_the_log_before(make_runner, balanced):
    model = balanced(STATIC, dict(box=1.0, cls=10.0))
    runner = make_runner(model, BalanceMonitorHook(), iters_per_epoch=6)
    runner.train()
    with torch.no_grad():  # the learning rate is 0: the network is still the same
        steps = [model.parts(batch['inputs'])[0] for batch in runner.train_dataloader]
        raw = torch.stack([torch.stack([step['box'].mean(), step['cls'].mean()]) for step in steps])
    # logged after iteration 4 and at the end of the epoch
    expected = torch.stack([raw[:4].mean(0), raw[4:].mean(0)])
    assert history(runner, 'raw_box') == pytest.approx(expected[:, 0].tolist())
    assert history(runner, 'raw_cls') == pytest.approx(expected[:, 1].tolist())
    box = 3 * expected[:, 0]
    assert history(runner, 'share_box') == pytest.approx((box / (box + expected[:, 1])).tolist())
    assert history(runner, 'weights_smallest_first') == [1.0, 1.0]


def test_window_of_mmengines_means_is_another_one(make_runner, balanced, tmp_path):
    # As docs/monitoring.md says: raw_* over the 4 iterations since the last log, loss_* over the last 2
    model = balanced(STATIC, dict(box=1.0, cls=10.0))
    runner = make_runner(model, BalanceMonitorHook())
    runner.log_processor.window_size = 2
    runner.train()
    with torch.no_grad():
        raw = [model.parts(batch['inputs'])[0]['box'].mean().item() for batch in runner.train_dataloader]
    (log,) = tmp_path.glob('*/vis_data/scalars.json')
    first, last = map(json.loads, log.read_text().splitlines())
    for record, end in ((first, 4), (last, 8)):
        assert record['raw_box'] == pytest.approx(sum(raw[end - 4 : end]) / 4)
        assert record['loss_box'] == pytest.approx(3 * sum(raw[end - 2 : end]) / 2, rel=1e-4)


def test_every_backend_and_the_terminal_show_it_and_the_objective_stays(make_runner, balanced, tmp_path):
    model = balanced(STATIC, dict(box=1.0, cls=1.0))
    runner = make_runner(model, BalanceMonitorHook())
    runner.train()
    (log,) = tmp_path.glob('*/vis_data/scalars.json')
    records = [json.loads(line) for line in log.read_text().splitlines()]
    keys = {'raw_box', 'raw_cls', 'share_box', 'share_cls', 'weights_entropy', 'weights_smallest_first'}
    assert len(records) == 2
    for record in records:
        assert keys <= set(record)
        assert not any('loss' in key for key in keys)
        assert record['loss'] == pytest.approx(record['loss_box'] + record['loss_cls'])
    (text,) = tmp_path.glob('*/*.log')
    assert re.search(r'Epoch\(train\).*share_box: 0\.\d+', text.read_text())


def test_a_backend_gets_it_too(make_runner, balanced):
    @VISBACKENDS.register_module(force=True)
    class RecordingVisBackend(BaseVisBackend):
        experiment = None

        def _init_env(self):
            pass

        def add_scalars(self, scalar_dict, step=0, file_path=None, **kwargs):
            records.append((step, set(scalar_dict)))

    records = []
    visualizer = dict(type='Visualizer', vis_backends=[dict(type='RecordingVisBackend', save_dir='')])
    make_runner(balanced(STATIC, dict(box=1.0, cls=1.0)), BalanceMonitorHook(), visualizer=visualizer).train()
    assert [step for step, _ in records] == [4, 8]
    for _, keys in records:
        assert {'balance_box', 'raw_box', 'share_cls', 'weights_entropy', 'weights_smallest_first'} <= keys


def test_steps_that_are_not_finite_are_left_out(make_runner, balanced):
    class Spoilt(balanced):
        calls = 0

        def parts(self, inputs):
            parts, output = super().parts(inputs)
            self.calls += 1
            if self.calls in (2, 5, 6, 7, 8):
                parts['box'] = parts['box'] * float('nan' if self.calls == 2 else 'inf')
            return parts, output

    model = Spoilt(STATIC, dict(box=1.0, cls=1.0))
    runner = make_runner(model, BalanceMonitorHook())
    runner.train()
    assert math.isfinite(history(runner, 'raw_box')[0])
    assert math.isnan(history(runner, 'raw_box')[1])  # there is none


def test_images_with_weights_of_their_own(make_runner, balanced):
    balancer = dict(SLF, sampler=dict(type='MultipleGumbelSoftmax', num_samples=1))
    model = balanced(balancer, dict(box=1.0, cls=1.0))
    runner = make_runner(model, BalanceMonitorHook(), log_interval=1)
    runner.train()
    total = [sum(history(runner, f'loss_{part}')[i] for part in ('box', 'cls')) for i in range(8)]
    weighted = history(runner, 'loss_box')
    assert history(runner, 'share_box') == pytest.approx([a / b for a, b in zip(weighted, total)])
    assert len(set(history(runner, 'share_box'))) > 3  # samples differ


def test_share_of_the_images_that_selected_a_part(make_runner, balanced):
    """With one sample each of the two images selects one part, which then has all its weight, 4."""
    balancer = dict(SLF, sampler=dict(type='MultipleGumbelSoftmax', num_samples=1))
    runner = make_runner(balanced(balancer, dict(box=1.0, cls=1.0)), BalanceMonitorHook(), log_interval=1)
    runner.train()
    selected = {part: history(runner, f'selected_{part}') for part in ('box', 'cls')}
    assert selected['box'] == pytest.approx([value / 4 for value in history(runner, 'balance_box')])
    assert [box + cls for box, cls in zip(*selected.values())] == [1.0] * 8
    assert set(selected['box']) <= {0.0, 0.5, 1.0} and len(set(selected['box'])) > 1


def test_average_precision_lost_with_a_part(make_runner, balanced):
    """The quality is the mean of the first output, of whose square the part box is made."""

    class WithQuality(balanced):
        def forward(self, inputs, mode='loss'):
            parts, output = self.parts(inputs)
            quality = DetectionQuality(lambda inputs: inputs[0][:, 0].mean(), [output])
            return self.balancer(parts, output, detection_quality=quality)

    torch.manual_seed(0)
    balancer = dict(SLF, signal=dict(type='DeltaAP', interval=1))
    model = WithQuality(balancer, dict(box=1.0, cls=1.0))
    runner = make_runner(model, BalanceMonitorHook(), log_interval=8)
    runner.train()
    gains = []
    with torch.no_grad():  # the learning rate is 0: the network is still the same
        for batch in runner.train_dataloader:
            o = model.layer(batch['inputs'])[:, 0]
            # the loss o^2 + 0.1 has the gradient 2 o, so (o^2 + 0.1) / (2 o) is subtracted
            gains.append((-(o.square() + 0.1) / (2 * o)).mean().item())
    # a running mean of momentum 0.999, without the bias of its start
    kept = [0.999 ** (7 - i) for i in range(8)]
    expected = sum(k * gain for k, gain in zip(kept, gains)) / sum(kept)
    assert history(runner, 'ap_lost_box') == pytest.approx([expected], rel=1e-4)
    assert history(runner, 'ap_lost_cls') == pytest.approx([0.0], abs=1e-6)  # it is made of the other output


def test_several_balancers_are_told_apart(make_runner, balanced):
    model = balanced(STATIC, dict(box=1.0, cls=1.0), slots=('rpn', 'roi'))
    runner = make_runner(model, BalanceMonitorHook(interval=8))
    runner.train()
    for key in ('raw_rpn_box', 'raw_roi_box', 'share_roi_cls', 'weights_rpn_entropy'):
        assert len(history(runner, key)) == 1


def test_model_without_a_balancer(make_runner, balanced):
    class Plain(balanced):
        def forward(self, inputs, mode='loss'):
            return dict(loss=self.layer(inputs).square().mean())

    runner = make_runner(Plain(STATIC, dict(box=1.0, cls=1.0), slots=()), BalanceMonitorHook())
    runner.train()
    assert not [key for key in runner.message_hub.log_scalars if re.search('raw|share|weights', key)]


def test_a_network_that_was_watched_can_be_copied_and_saved():
    import copy
    import io

    settings = {key: value for key, value in SLF.items() if key != 'type'}
    balancer = SLFBalancer(**settings, feature_dim=2)
    keys = set(balancer.state_dict())
    features = torch.rand(4, 2, requires_grad=True)
    balancer(dict(box=features[:, 0], cls=features[:, 1]), features)
    assert set(balancer.state_dict()) == keys
    assert torch.equal(copy.deepcopy(balancer).last.weights, balancer.last.weights)
    torch.save(balancer, io.BytesIO())


@pytest.mark.parametrize('interval', [0, -1, 2.5])
def test_wrong_interval(interval):
    with pytest.raises(ValueError, match=f'integer >= 1, found {interval}'):
        BalanceMonitorHook(interval)
