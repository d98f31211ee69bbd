"""Steps that are not finite: named, stopped, or left out without a trace."""

import random
import re

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.model import BaseModel
from torch import nn

from slf_mmdet.balancers import LossBalancer
from slf_mmdet.hooks import NonFiniteError, NonFiniteGuardHook

from ..processes import run_in_two
from .tiny_run import DIM, TinyDetector, build_runner, image
from .two_guards import process

NAN, INF = float('nan'), float('inf')
STATIC = dict(type='StaticBalancer', base_weights=dict(coord=5.0, cls=1.0, obj=0.5))
SETTINGS = {
    'DWABalancer': dict(interval=2),
    'ScheduledBalancer': dict(schedules=dict(coord=2.0)),
}


def balancers():
    found = [
        name for name, cls in MODELS.module_dict.items() if isinstance(cls, type) and issubclass(cls, LossBalancer)
    ]
    return sorted(found)


def train(work_dir, images, policy='skip', balancer=STATIC, max_in_a_row=20, model=None, **kwargs):
    torch.manual_seed(0)
    model = model or TinyDetector(balancer)
    guard = NonFiniteGuardHook(policy, max_in_a_row)
    runner = build_runner(work_dir, model, images, guard, **kwargs)
    runner.train()
    return runner, guard


def state(runner):
    return {key: value.clone() for key, value in runner.model.state_dict().items()}


def assert_finite(tensors):
    for name, value in tensors.items():
        assert torch.isfinite(value).all(), name


# What is said


@pytest.mark.parametrize(('fault', 'shown'), [(NAN, 'nan'), (INF, 'inf'), (-INF, '-inf')])
def test_the_message_names_part_iteration_image_and_weights(tmp_path, fault, shown):
    images = [image(i, fault if i == 5 else None) for i in range(8)]
    with pytest.raises(NonFiniteError) as error:
        train(tmp_path, images, 'raise')
    text = str(error.value)
    assert f"in iteration 2 part 'cls' is {shown} for images/5.jpg." in text
    assert 'Weights: coord 5, cls 1, obj 0.5.' in text
    assert 'Images of the batch: images/4.jpg, images/5.jpg.' in text
    assert "'coord' is" not in text and "policy='skip'" in text


def test_bad_pixels_make_all_parts_of_all_images_bad(tmp_path):
    with pytest.raises(
        NonFiniteError, match=r"in iteration 0 part 'coord' is nan for images/0\.jpg, images/1\.jpg; .*cls"
    ):
        train(tmp_path, [image(0), image(1, 'pixel')], 'raise')


class WithoutBalancer(TinyDetector):
    def forward(self, inputs, data_samples, mode='loss'):
        losses = super().forward(inputs, data_samples, mode)
        return dict(loss_cls=[losses['loss_cls'], losses['loss_obj']], loss_box=losses['loss_coord'])


def test_losses_of_any_detector_are_named_too(tmp_path):
    torch.manual_seed(0)
    model = WithoutBalancer(STATIC)
    with pytest.raises(NonFiniteError, match=r"part 'cls' is nan for images/1\.jpg"):
        train(tmp_path, [image(0), image(1, NAN)], 'raise', model=model)


class BadGradient(TinyDetector):
    """The derivative of sqrt is infinite at 0, its value is not."""

    def forward(self, inputs, data_samples, mode='loss'):
        losses = super().forward(inputs, data_samples, mode)
        if any(sample['img_path'].endswith('3.jpg') for sample in data_samples):
            losses['loss_root'] = self.layer.bias.mul(0).sum().sqrt()
        return losses


def test_gradients_are_named_where_losses_are_finite(tmp_path):
    with pytest.raises(NonFiniteError, match=r'gradients that are not finite: layer\.bias\.'):
        train(tmp_path, [image(i) for i in range(4)], 'raise', model=BadGradient(STATIC))


def test_gradients_that_are_not_finite_are_skipped(tmp_path):
    runner, guard = train(tmp_path, [image(i) for i in range(8)], model=BadGradient(STATIC))
    assert guard.num_skipped == 1
    assert_finite(state(runner))


# What is left of a skipped step: nothing


def test_skipping_equals_training_without_these_batches(tmp_path):
    images = [image(i) for i in range(12)]
    bad = [image(100, NAN), image(101)], [image(102), image(103, 'pixel')]
    runner, guard = train(tmp_path / 'a', [*images[:4], *bad[0], *images[4:8], *bad[1], *images[8:]])
    without, _ = train(tmp_path / 'b', images)
    assert guard.num_skipped == 2
    ours, theirs = state(runner), state(without)
    assert ours.pop('norm.num_batches_tracked') == theirs.pop('norm.num_batches_tracked') + 2
    for key, value in ours.items():
        assert torch.equal(value, theirs[key]), key
    momenta = [list(each.optim_wrapper.optimizer.state.values()) for each in (runner, without)]
    for a, b in zip(*momenta):
        assert torch.equal(a['momentum_buffer'], b['momentum_buffer'])


def test_accumulation_leaves_out_all_batches_of_the_step(tmp_path):
    images = [image(i) for i in range(12)]
    bad = [image(100, NAN), *(image(i) for i in (101, 102, 103))]  # two batches of two: one step
    runner, guard = train(tmp_path / 'a', [*images[:4], *bad, *images[4:]], accumulative_counts=2)
    without, _ = train(tmp_path / 'b', images, accumulative_counts=2)
    assert guard.num_skipped == 1
    for key, value in without.model.state_dict().items():
        if key != 'norm.num_batches_tracked':
            assert torch.equal(runner.model.state_dict()[key], value), key


def test_two_hundred_faults(tmp_path):
    choose = random.Random(0)
    faulty = set(choose.sample(range(600), 200))
    images = [
        image(i // 2, choose.choice([NAN, INF, -INF, 'pixel']) if i // 2 in faulty and i % 2 else None)
        for i in range(1200)
    ]
    seen = []

    class Watch(NonFiniteGuardHook):
        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            seen.append(all(value.isfinite().all() for value in runner.model.state_dict().values()))

    torch.manual_seed(0)
    guard = Watch('skip')
    runner = build_runner(tmp_path, TinyDetector(dict(type='SLFBalancer')), images, guard)
    runner.train()
    assert guard.num_skipped == 200 and len(seen) == 600 and all(seen)
    moments = {
        str(i): entry['momentum_buffer'] for i, entry in enumerate(runner.optim_wrapper.optimizer.state.values())
    }
    assert_finite(moments)


def random_faults(name):
    """Sixty images, of which about half have a fault."""
    choose = random.Random(name)
    return [choose.choice([NAN, INF, 'pixel', None, None, None]) for _ in range(60)]


@pytest.mark.parametrize('name', balancers())
def test_no_fault_reaches_any_balancer(tmp_path, name):
    faults = random_faults(name)
    balancer = dict(type=name, base_weights=dict(coord=2.0, cls=1.0, obj=0.5), **SETTINGS.get(name, {}))
    torch.manual_seed(0)  # of the network, and of the balancer's random numbers
    model = TinyDetector(balancer)
    effects = watch_effects(model.balancer)
    runner, guard = train(tmp_path, [image(i, fault) for i, fault in enumerate(faults)], model=model)
    bad_batches = sum(a is not None or b is not None for a, b in zip(faults[::2], faults[1::2]))
    assert guard.num_skipped == sum(effects) > 5
    assert sum(effects) <= bad_batches if name in SELECTIVE else sum(effects) == bad_batches
    assert_finite(state(runner))


# Their weights can be exactly 0: samples may not select a part, FAMO's weights have the part as divisor, and GraP's
# optimum may lie on the boundary
SELECTIVE = ('PaperSLFBalancer', 'SLFBalancer', 'FAMOBalancer', 'GraPBalancer')


def watch_effects(balancer):
    """Whether a value that is not finite has a weight > 0, for each step to come."""
    effects, compute_weights = [], balancer.compute_weights

    def watched(step):
        output = compute_weights(step)
        wrong = ~step.losses.detach().isfinite()
        effects.append(bool((wrong & (output.weights.detach() != 0)).any()))
        return output

    balancer.compute_weights = watched
    return effects


# Parts of weight 0


def warnings_of(work_dir):
    (log,) = work_dir.glob('*/*.log')
    return re.findall(r'WARNING - (NonFiniteGuardHook: .*)', log.read_text())


@pytest.mark.parametrize('policy', ['raise', 'skip'])
@pytest.mark.parametrize(('fault', 'shown'), [(NAN, 'nan'), (INF, 'inf'), (-INF, '-inf')])
def test_a_part_of_weight_0_is_reported_and_the_step_is_taken(tmp_path, policy, fault, shown):
    balancer = dict(STATIC, base_weights=dict(coord=5.0, cls=0.0, obj=0.5))
    images = [image(i, fault if i == 5 else None) for i in range(8)]
    runner, guard = train(tmp_path / 'a', images, policy, balancer)
    assert guard.num_skipped == 0
    (text,) = warnings_of(tmp_path / 'a')
    assert f"in iteration 2 part 'cls' is {shown} for images/5.jpg." in text
    assert 'Weights: coord 5, cls 0, obj 0.5.' in text and 'these values have the weight 0' in text
    sound, _ = train(tmp_path / 'b', [image(i) for i in range(8)], policy, balancer)
    assert warnings_of(tmp_path / 'b') == []
    for key, value in state(sound).items():
        assert torch.equal(runner.model.state_dict()[key], value), key


def test_a_part_that_an_image_did_not_select_is_reported(tmp_path):
    """Each image has a fault and selects one of three parts: a step is taken where neither selected that part."""
    balancer = dict(type='PaperSLFBalancer', sampler=dict(type='MultipleGumbelSoftmax', num_samples=1))
    torch.manual_seed(0)
    model = TinyDetector(balancer)
    effects = watch_effects(model.balancer)
    runner, guard = train(tmp_path, [image(i, INF) for i in range(40)], model=model)
    assert len(effects) == 20 and 0 < guard.num_skipped == sum(effects) < 20
    texts = warnings_of(tmp_path)
    taken = [text for text in texts if 'these values have the weight 0' in text]
    assert len(texts) == 20 and len(taken) == 20 - sum(effects)
    for text in taken:
        first, second = re.search(r"part 'cls' is inf for images/(\d+).jpg, images/(\d+).jpg", text).groups()
        assert int(second) == int(first) + 1 and not effects[int(first) // 2]
    assert_finite(state(runner))


def test_a_fault_in_the_step_that_sizes_a_buffer(tmp_path):
    signal = dict(type='GradientAlignment', target='training_loss')  # its gradient has no size before the first step
    runner, guard = train(
        tmp_path,
        [image(i, NAN if i == 1 else None) for i in range(8)],
        balancer=dict(type='SLFBalancer', signal=signal),
    )
    assert guard.num_skipped == 1
    assert_finite(state(runner))


class WithAccuracy(TinyDetector):
    def forward(self, inputs, data_samples, mode='loss'):
        return dict(super().forward(inputs, data_samples, mode), acc=torch.tensor(NAN))


def test_values_outside_of_the_objective_may_be_nan(tmp_path):
    _, guard = train(tmp_path, [image(i) for i in range(4)], 'raise', model=WithAccuracy(STATIC))
    assert guard.num_skipped == 0


def test_number_is_carried_by_the_checkpoint(tmp_path):
    runner, _ = train(tmp_path, [image(0, NAN), image(1), image(2), image(3)])
    assert runner.message_hub.get_info('skipped_steps') == 1
    runner.message_hub.update_info('skipped_steps', 7)  # as resuming does
    guard = NonFiniteGuardHook('skip')
    guard.before_train(runner)
    guard.after_train(runner)
    assert guard.num_skipped == 7


def test_a_broken_model_is_not_skipped_for_ever(tmp_path):
    model = TinyDetector(STATIC)
    with torch.no_grad():
        model.layer.weight.fill_(NAN)
    with pytest.raises(NonFiniteError, match=r'3 steps in a row were not finite \(max_in_a_row=3\)'):
        train(tmp_path, [image(i) for i in range(20)], max_in_a_row=3, model=model)


def test_without_faults_nothing_changes(tmp_path):
    images = [image(i) for i in range(12)]
    guarded, guard = train(tmp_path / 'a', images, 'raise')
    torch.manual_seed(0)
    plain = build_runner(tmp_path / 'b', TinyDetector(STATIC), images)
    plain.train()
    assert guard.num_skipped == 0
    for key, value in plain.model.state_dict().items():
        assert torch.equal(guarded.model.state_dict()[key], value), key
    assert 'step' not in vars(guarded.optim_wrapper)  # the wrapper is as it was


# Settings


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        (dict(policy='ignore'), r"policy must be one of \['raise', 'skip'\], found 'ignore'"),
        (dict(max_in_a_row=0), 'max_in_a_row must be an integer >= 1, found 0'),
    ],
)
def test_wrong_settings(kwargs, message):
    with pytest.raises(ValueError, match=message):
        NonFiniteGuardHook(**kwargs)


class TwoPlayers(BaseModel):
    """Two layers with an optimizer each; the loss of the second one is what a sample's fault is added to."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(DIM, 1), nn.Linear(DIM, 1)

    def forward(self, inputs, data_samples, mode='loss', player='first'):
        faults = sum(sample.get('fault', 0.0) for sample in data_samples) if player == 'second' else 0.0
        return {f'loss_{player}': getattr(self, player)(inputs).square().mean() + faults}

    def train_step(self, data, optim_wrapper):
        for player, wrapper in optim_wrapper.items():
            total, log = self.parse_losses(self(**data, mode='loss', player=player))
            wrapper.update_params(total)
        return log


def two_players(tmp_path, images, guard):
    torch.manual_seed(0)
    model = TwoPlayers()
    sgd = dict(optimizer=dict(type='SGD', lr=0.05))
    runner = build_runner(tmp_path, model, images, guard)
    runner.optim_wrapper = dict(constructor='OptimPerModule', first=sgd, second=sgd)
    return runner, {key: value.clone() for key, value in model.state_dict().items()}


def test_one_of_several_optimizers_skips_its_step(tmp_path):
    guard = NonFiniteGuardHook('skip')
    runner, before = two_players(tmp_path, [image(0), image(1, NAN)], guard)
    after = runner.train().state_dict()
    assert guard.num_skipped == 1
    assert not torch.equal(after['first.weight'], before['first.weight'])
    assert torch.equal(after['second.weight'], before['second.weight'])
    assert all('step' not in vars(wrapper) for wrapper in runner.optim_wrapper.values())


def test_steps_in_a_row_are_those_of_an_optimizer(tmp_path):
    runner, _ = two_players(tmp_path, [image(i, NAN) for i in range(10)], NonFiniteGuardHook('skip', max_in_a_row=3))
    with pytest.raises(NonFiniteError, match=r'3 steps in a row were not finite \(max_in_a_row=3\)'):
        runner.train()
    assert runner.iter == 2


def test_several_optimizers_raise(tmp_path):
    runner, _ = two_players(tmp_path, [image(0), image(1, INF)], NonFiniteGuardHook('raise'))
    with pytest.raises(NonFiniteError, match=r"loss 'loss_second' is inf.*images/0.jpg, images/1.jpg"):
        runner.train()


def test_two_processes_decide_alike(tmp_path):
    first, second = run_in_two(process, tmp_path / 'result')
    assert first['skipped'] == second['skipped'] == 1
    assert_finite(first['state'])
    for key, value in first['state'].items():
        if key.startswith('layer'):  # batch norm's statistics are those of the process
            assert torch.equal(value, second['state'][key]), key
    assert 'in iteration 1' in second['message'] and 'images/5.jpg' in second['message']
    assert 'a loss or gradient of another process is not finite' in first['message']
