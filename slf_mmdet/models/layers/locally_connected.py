"""A convolution with a kernel of its own at each position: darknet's ``[local]`` layer."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class LocallyConnected2d(nn.Module):
    r"""Convolves with a kernel and a bias of its own at every output location.

    .. math:: y_{n,o,i,j} = b_{o,i,j}
        + \sum_{c,u,v} W_{i,j,o,c,u,v}\, x_{n,\,c,\,i s + u - p,\,j s + v - p}

    with stride s and p zeros of padding. In darknet's ``cfg/yolov1.cfg`` such a layer (3x3, 256
    channels) is between the convolutions and the last linear layer, instead of the paper's
    first fully connected one.

    The memory order of ``weight`` (H_out, W_out, out_channels, in_channels, k, k) and ``bias``
    (out_channels, H_out, W_out) is that of a darknet weight file.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        input_size: (H, W) of the input: fixed, because each kernel belongs to a position.
        kernel_size: Side k of the kernels.
        padding: Zeros added at each border.
        stride: Step between output locations.

    Raises:
        ValueError: The input has no room for a kernel.

    Example:
        >>> layer = LocallyConnected2d(8, 4, (7, 7))
        >>> layer(torch.zeros(2, 8, 7, 7)).shape
        torch.Size([2, 4, 7, 7])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        input_size: tuple[int, int],
        kernel_size: int = 3,
        padding: int = 1,
        stride: int = 1,
    ) -> None:
        super().__init__()
        in_height, in_width = input_size
        height = (in_height + 2 * padding - kernel_size) // stride + 1
        width = (in_width + 2 * padding - kernel_size) // stride + 1
        if min(height, width) < 1:
            raise ValueError(
                f'LocallyConnected2d: an input of {in_height}x{in_width} with padding {padding} '
                f'has no room for a kernel of {kernel_size}; enlarge input_size or padding.'
            )
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.input_size = (in_height, in_width)
        self.output_size = (height, width)
        self.kernel_size = kernel_size
        self.padding = padding
        self.stride = stride
        self.weight = nn.Parameter(torch.empty(height, width, out_channels, in_channels, kernel_size, kernel_size))
        self.bias = nn.Parameter(torch.empty(out_channels, height, width))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws the weights as ``nn.Conv2d`` does (fan-in of one location); zeroes the bias."""
        # Not by nn.init.kaiming_uniform_: it would take the location axes for channels.
        bound = 1 / math.sqrt(self.in_channels * self.kernel_size**2)
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, in_channels, H, W) to (N, out_channels, H_out, W_out).

        Raises:
            ValueError: The input has another shape than the layer was built for.
        """
        if x.shape[1:] != (self.in_channels, *self.input_size):
            raise ValueError(
                f'LocallyConnected2d: built for (N, {self.in_channels}, {self.input_size[0]}, '
                f'{self.input_size[1]}), found {tuple(x.shape)}. Resize the images so that the '
                f'backbone gives that map, or build the layer with another input_size.'
            )
        # (N, c*k*k, H_out*W_out) and (H_out*W_out, out_channels, c*k*k)
        patches = F.unfold(x, self.kernel_size, padding=self.padding, stride=self.stride)
        kernels = self.weight.flatten(3).flatten(0, 1)
        out = torch.einsum('lok,nkl->nol', kernels, patches)
        return out.unflatten(2, self.output_size) + self.bias

    def extra_repr(self) -> str:
        """The arguments, for ``print(model)``."""
        return (
            f'{self.in_channels}, {self.out_channels}, input_size={self.input_size}, '
            f'kernel_size={self.kernel_size}, padding={self.padding}, stride={self.stride}'
        )
