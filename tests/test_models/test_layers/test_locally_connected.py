"""LocallyConnected2d against literal loops, ordinary convolution and numerical gradients."""

import pytest
import torch
import torch.nn.functional as F

from slf_mmdet.models.layers import LocallyConnected2d


def literal_local(x, weight, bias, padding, stride):
    """One multiplication at a time, indexed as in the formula of the docstring."""
    height, width, out_channels, in_channels, size, _ = weight.shape
    out = bias.expand(len(x), -1, -1, -1).clone()
    for n in range(len(x)):
        for o in range(out_channels):
            for i in range(height):
                for j in range(width):
                    for c in range(in_channels):
                        for u in range(size):
                            for v in range(size):
                                row, column = i * stride + u - padding, j * stride + v - padding
                                if 0 <= row < x.shape[2] and 0 <= column < x.shape[3]:
                                    product = weight[i, j, o, c, u, v] * x[n, c, row, column]
                                    out[n, o, i, j] += product
    return out


@pytest.mark.parametrize(
    ('size', 'kernel', 'padding', 'stride', 'out_size'),
    [
        ((4, 3), 3, 1, 1, (4, 3)),
        ((5, 4), 3, 0, 1, (3, 2)),
        ((5, 5), 3, 1, 2, (3, 3)),
        ((2, 3), 1, 0, 1, (2, 3)),
    ],
)
def test_equals_literal_loops(size, kernel, padding, stride, out_size):
    torch.manual_seed(0)
    layer = LocallyConnected2d(2, 3, size, kernel, padding, stride).double()
    torch.nn.init.normal_(layer.bias)
    x = torch.randn(2, 2, *size, dtype=torch.double)
    out = layer(x)
    assert out.shape == (2, 3, *out_size)
    torch.testing.assert_close(out, literal_local(x, layer.weight, layer.bias, padding, stride))


def test_equal_kernels_make_a_convolution():
    torch.manual_seed(0)
    layer = LocallyConnected2d(3, 4, (5, 6))
    kernel, bias = torch.randn(4, 3, 3, 3), torch.randn(4)
    with torch.no_grad():
        layer.weight.copy_(kernel)
        layer.bias.copy_(bias[:, None, None])
    x = torch.randn(2, 3, 5, 6)
    torch.testing.assert_close(layer(x), F.conv2d(x, kernel, bias, padding=1), rtol=1e-4, atol=1e-5)


def test_gradients_equal_finite_differences():
    torch.manual_seed(0)
    layer = LocallyConnected2d(2, 2, (3, 2)).double()
    x = torch.randn(1, 2, 3, 2, dtype=torch.double, requires_grad=True)

    def forward(x, weight, bias):
        return torch.func.functional_call(layer, {'weight': weight, 'bias': bias}, (x,))

    assert torch.autograd.gradcheck(forward, (x, layer.weight, layer.bias))


def test_initial_weights_are_bounded_by_the_fan_in_of_one_location():
    # fan-in 4 * 3 * 3 = 36, so the bound is 1 / 6
    torch.manual_seed(0)
    layer = LocallyConnected2d(4, 8, (7, 7))
    assert layer.weight.abs().max() <= 1 / 6
    assert layer.weight.abs().max() > 0.99 / 6
    assert not layer.bias.any()


def test_other_input_size_is_refused():
    layer = LocallyConnected2d(2, 2, (7, 7))
    with pytest.raises(ValueError, match=r'built for \(N, 2, 7, 7\), found \(1, 2, 14, 14\)'):
        layer(torch.zeros(1, 2, 14, 14))


def test_kernel_larger_than_input_is_refused():
    with pytest.raises(ValueError, match='2x2 with padding 0 has no room for a kernel of 3'):
        LocallyConnected2d(1, 1, (2, 2), kernel_size=3, padding=0)
