"""What a solved part of the loss would do to a measure of the detections, against values by hand."""

import pytest
import torch

from slf_mmdet.balancers import DetectionQuality


def squares(output, target):
    """Two parts, the squared errors of the first and of the other two outputs, per image ``(N,)``."""
    errors = (output - target).square()
    return [errors[:, 0], errors[:, 1:].sum(1)]


def minus_absolute(inputs):
    return -sum(x.abs().sum() for x in inputs)


@pytest.fixture
def output():
    return torch.tensor([[1.0, 2.0, -1.0], [0.5, 0.0, 3.0]], requires_grad=True)


def test_value_has_a_graph(output):
    value = DetectionQuality(minus_absolute, [output]).value()
    assert value.item() == -(1 + 2 + 1 + 0.5 + 0 + 3)
    value.backward()
    assert output.grad.tolist() == [[-1.0, -1.0, 1.0], [-1.0, 0.0, -1.0]]


def test_twice_the_step_to_first_order_solves_a_sum_of_squares(output):
    target = torch.tensor([[0.0, 1.0, 1.0], [0.0, 0.0, 0.0]])
    quality = DetectionQuality(lambda inputs: -(inputs[0] - target).abs().sum(), [output], step_scale=2.0)
    gains = quality.gains(squares(output, target))
    torch.testing.assert_close(gains, torch.tensor([1 + 0.5, 1 + 2 + 0 + 3.0]))


def test_once_that_step_halves_its_errors(output):
    quality = DetectionQuality(minus_absolute, [output])
    torch.testing.assert_close(quality.gains(squares(output, torch.zeros(2, 3))), torch.tensor([1.5, 6.0]) / 2)


def test_each_part_may_have_a_step_scale_of_its_own(output):
    quality = DetectionQuality(minus_absolute, [output], step_scale=dict(rest=1.0, first=2.0))
    gains = quality.gains(squares(output, torch.zeros(2, 3)), ['first', 'rest'])
    torch.testing.assert_close(gains, torch.tensor([1.5, 6.0 / 2]))


def test_a_solved_part_may_do_harm(output):
    quality = DetectionQuality(lambda inputs: inputs[0].abs().sum(), [output], step_scale=2.0)
    torch.testing.assert_close(quality.gains(squares(output, torch.zeros(2, 3))), torch.tensor([-1.5, -6.0]))


def test_a_scalar_part_is_solved_over_all_images_and_inputs(output):
    """A part that is linear in the inputs is 0 after the step."""
    other = torch.tensor([[2.0], [1.0]], requires_grad=True)
    factors = torch.tensor([[1.0, -1.0, 0.0], [2.0, 0.0, 1.0]])

    def linear(inputs):
        return (factors * inputs[0]).sum() + 3 * inputs[1].sum()

    quality = DetectionQuality(lambda inputs: -linear(inputs), [output, other])
    gains = quality.gains([linear([output, other]), output.new_zeros(())])
    torch.testing.assert_close(gains, torch.tensor([linear([output, other]).item(), 0.0]))


def test_an_image_without_a_loss_stays_as_it_is(output):
    losses = squares(output, output.detach() + torch.tensor([[0.0], [1.0]]))
    seen = []
    DetectionQuality(lambda inputs: seen.append(inputs[0].clone()) or inputs[0].sum(), [output], 2.0).gains(losses)
    now, first, second = seen
    torch.testing.assert_close(now, output.detach())
    torch.testing.assert_close(first[0], output[0])
    torch.testing.assert_close(first[1], output[1] + torch.tensor([1.0, 0, 0]))
    torch.testing.assert_close(second, output + torch.tensor([[0.0, 0, 0], [0, 1, 1]]))


def test_what_a_part_does_not_depend_on_stays(output):
    fixed, unused = torch.ones(2, 1), torch.ones(2, 1, requires_grad=True)
    quality = DetectionQuality(minus_absolute, [fixed, unused, output], step_scale=2.0)
    losses = [*squares(output, torch.zeros(2, 3)), (0 * unused + 1).squeeze(1)]
    torch.testing.assert_close(quality.gains(losses), torch.tensor([1.5, 6.0, 0.0]))
    only = DetectionQuality(minus_absolute, [fixed])
    assert only.gains(losses).tolist() == [0, 0, 0]


def test_the_graph_is_there_for_the_backward_pass_and_untouched(output):
    before, version = output.detach().clone(), output._version
    losses = squares(output, torch.zeros(2, 3))
    gains = DetectionQuality(minus_absolute, [output], step_scale=2.0).gains(losses)
    assert not gains.requires_grad and output.grad is None and output._version == version
    sum(losses).sum().backward()
    torch.testing.assert_close(output.grad, 2 * before)


def test_a_large_part_without_a_gradient_leads_nowhere(output):
    """Its step would be 0 * inf."""
    parts = [1e6 + (0 * output).sum(1), squares(output, torch.zeros(2, 3))[0]]
    gains = DetectionQuality(minus_absolute, [output], step_scale=2.0).gains(parts)
    torch.testing.assert_close(gains, torch.tensor([0.0, 1.5]))


def test_a_gradient_too_small_for_half_precision_counts():
    """1e-8 underflows to 0 in fp16, of which the smallest number is 6e-8."""
    output = torch.tensor([[2.0, 1.0]], requires_grad=True)
    part = (1e-8 * output.half().float()).sum()
    assert not torch.autograd.grad(part, output, retain_graph=True)[0].any()
    gains = DetectionQuality(minus_absolute, [output]).gains([part])
    # A step that takes the sum to 0, 1.5 from each: from 2 and 1 to 0.5 and -0.5
    torch.testing.assert_close(gains, torch.tensor([2.0]), rtol=1e-3, atol=0)


def test_a_part_that_is_not_finite_does_not_reach_the_others(output):
    bad = (output[:, 0] * 0).log()  # -inf, whose gradient is nan
    gains = DetectionQuality(minus_absolute, [output], step_scale=2.0).gains(
        [bad, squares(output, torch.zeros(2, 3))[0]]
    )
    assert gains[1].item() == pytest.approx(1.5)
