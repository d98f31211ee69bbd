"""The signal ValidationSignal: which images it takes, and its costs against a literal computation."""

from itertools import chain

import numpy as np
import pytest
import torch

from slf_mmdet.slf import ValidationSignal

from ...test_balancers.registry import BASE, FEATURE_DIM, RandomImages, costs_of
from ..literal_alignment import aligned, shrunk_costs

CONFIG = dict(type='RandomImages', number=6)


class Run:
    """Steps with a signal; parts and quality are linear in the shared parameters."""

    def __init__(self, signal, seed=0):
        self.signal = signal
        self.shared = torch.zeros(FEATURE_DIM, requires_grad=True)
        self.generator = torch.Generator().manual_seed(seed)
        self.batches = []

    def quality_of(self, data):
        """Its gradient is the mean of the images."""
        self.batches.append(data['index'])
        return torch.stack(data['inputs']).mean(0) @ self.shared

    def step(self, weights=BASE, **offers):
        self.gradients = torch.randn(4, FEATURE_DIM, generator=self.generator)
        offers = dict(dict(shared_parameters=self.shared, quality_of=self.quality_of), **offers)
        return costs_of(self.signal, self.gradients @ self.shared + 1.0, weights, **offers)

    def steps(self, number):
        for _ in range(number):
            self.step()
        return self.batches


def signal(batch_size=2, seed=0, interval=1, **kwargs):
    return ValidationSignal(4, dict(kwargs.pop('dataset', CONFIG)), batch_size, seed, interval=interval, **kwargs)


def test_costs_compare_the_direction_of_each_part_with_validation_images_of_the_moment():
    run, images, seen = Run(signal(momentum=0.6)), RandomImages(6).images, []
    weights = torch.rand(5, 3, 4, generator=torch.Generator().manual_seed(2)) + 0.1  # of three images
    for step in range(5):
        costs = run.step(weights[step])
        seen.append(aligned(run.gradients, weights[step], images[run.batches[-1]].mean(0).double()))
        assert costs.tolist() == pytest.approx(shrunk_costs(seen, momentum=0.6), abs=1e-5)
    assert costs.abs().max() > 0.01


@pytest.mark.parametrize('batch_size', [1, 2, 3, 6])
def test_all_images_come_before_one_comes_again(batch_size):
    passes = 6 // batch_size
    batches = Run(signal(batch_size)).steps(3 * passes)
    for start in range(0, len(batches), passes):
        assert sorted(chain(*batches[start : start + passes])) == list(range(6))
    assert batches[:passes] != batches[passes : 2 * passes]


def test_batches_are_of_one_size_where_the_images_cannot_be_divided():
    batches = Run(signal(batch_size=4)).steps(12)
    assert all(len(set(batch)) == 4 for batch in batches)
    assert set(chain(*batches)) == set(range(6))


def test_seed_decides_the_order_whatever_the_global_state():
    def order(seed):
        batches = Run(signal(seed=seed)).steps(6)
        np.random.rand()
        torch.rand(1)
        return batches

    assert order(0) == order(0) != order(1)


def test_a_resumed_run_goes_on_with_the_order():
    whole, first = Run(signal()), Run(signal())
    expected = whole.steps(7)
    first.steps(4)
    resumed = Run(signal())
    resumed.signal.load_state_dict(first.signal.state_dict())
    resumed.generator.set_state(first.generator.get_state())
    assert resumed.steps(3) == expected[4:]
    for key, value in resumed.signal.state_dict().items():
        assert torch.equal(value, whole.signal.state_dict()[key]), key


def test_images_are_taken_where_it_measures_alone():
    assert len(Run(signal(interval=3)).steps(7)) == 3
    evaluating = Run(signal().eval())
    assert evaluating.steps(2) == [] and evaluating.signal.batches.value == 0


def test_the_data_set_is_built_at_the_first_measurement_and_once(monkeypatch):
    built = []
    original = RandomImages.__init__
    monkeypatch.setattr(
        RandomImages, '__init__', lambda self, **kwargs: built.append(kwargs) or original(self, **kwargs)
    )
    run = Run(signal(dataset=dict(type=RandomImages, number=4)))
    assert built == []
    run.steps(3)
    assert built == [dict(number=4)]


def test_an_image_of_both_training_and_validation():
    run = Run(signal())
    run.step(image_ids=['train/3.png', 'val/17.png'])
    with pytest.raises(ValueError) as error:
        run.step(image_ids=['train/3.png', 'val/4.png'])
    message = str(error.value)
    assert message.startswith(
        'the signal ValidationSignal: val/4.png is an image of the training batch and of the valid'
    )
    assert "type='HeldOutSplit'" in message


@pytest.mark.parametrize('processes', [1, 3])
def test_a_batch_must_fit_between_processes_and_images(processes, monkeypatch):
    monkeypatch.setattr('mmengine.dist.get_world_size', lambda: processes)
    for batch_size in (7, *range(1, processes)):
        message = (
            rf'^the signal ValidationSignal: batch_size must be between {processes} \(the number of processes\) and 6 '
            rf'\(the images of the data set\), found {batch_size}\.$'
        )
        with pytest.raises(ValueError, match=message):
            Run(signal(batch_size)).steps(1)


def test_each_process_takes_its_share_of_a_batch(monkeypatch):
    (whole,), shares = Run(signal(batch_size=6)).steps(1), []
    monkeypatch.setattr('mmengine.dist.get_world_size', lambda: 2)
    for rank in range(2):
        monkeypatch.setattr('mmengine.dist.get_rank', lambda rank=rank: rank)
        shares += Run(signal(batch_size=6)).steps(1)
    assert shares == [whole[::2], whole[1::2]]


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        (dict(batch_size=0), 'ValidationSignal: batch_size must be an integer >= 1, found 0'),
        (dict(batch_size=2.5), 'ValidationSignal: batch_size must be an integer >= 1, found 2.5'),
        (dict(seed=-1), 'ValidationSignal: seed must be an integer >= 0, found -1'),
        (dict(dataset='val'), "ValidationSignal: dataset must be the config of a data set, a dict .* found 'val'"),
        (dict(dataset=dict(number=3)), 'ValidationSignal: dataset must be .* found {.number.: 3}'),
        (dict(interval=0), 'ValidationSignal: interval must be an integer >= 1 or None, found 0'),
    ],
)
def test_wrong_settings(wrong, message):
    with pytest.raises(ValueError, match=message):
        ValidationSignal(4, **{**dict(dataset=CONFIG), **wrong})
