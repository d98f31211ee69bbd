"""Replaces ``mmcv._ext``, mmcv's compiled ops, by torchvision's where it has them, on CPU and CUDA.

Loaded by path under the name ``mmcv._ext``: it must not import slf_mmdet. Functions have the names and arguments with
which ``mmcv/ops/*.py`` (2.0 and 2.1) calls them; outputs are written into tensors of the caller, as there. All other
ops exist, since mmcv looks them up at import, but raise when they are called.
"""

from typing import Any, Callable, NoReturn

import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor

_OPS = torch.ops.torchvision


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int = 0) -> Tensor:
    """Indices of the boxes kept, best first; ``offset`` 1 counts the last pixel into the size of a box."""
    if offset:
        boxes = torch.cat([boxes[:, :2], boxes[:, 2:] + offset], dim=1)
    return _OPS.nms(boxes.float(), scores.float(), iou_threshold)


def roi_align_forward(
    input: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    _only_average(pool_mode)
    rois = rois.to(input.dtype)
    output.copy_(_OPS.roi_align(input, rois, spatial_scale, aligned_height, aligned_width, sampling_ratio, aligned))


def roi_align_backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    grad_input: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    _only_average(pool_mode)
    rois = rois.to(grad_output.dtype)
    size = (aligned_height, aligned_width)
    grad = _OPS._roi_align_backward(grad_output, rois, spatial_scale, *size, *grad_input.shape, sampling_ratio, aligned)
    grad_input.copy_(grad)


def _only_average(pool_mode: int) -> None:
    if pool_mode != 1:
        _missing("roi_align with pool_mode='max'")


def sigmoid_focal_loss_forward(
    input: Tensor, target: Tensor, weight: Tensor, output: Tensor, gamma: float, alpha: float
) -> None:
    output.copy_(_sigmoid_focal_loss(input, target, weight, gamma, alpha))


def sigmoid_focal_loss_backward(
    input: Tensor, target: Tensor, weight: Tensor, grad_input: Tensor, gamma: float, alpha: float
) -> None:
    with torch.enable_grad():
        input = input.detach().requires_grad_()
        loss = _sigmoid_focal_loss(input, target, weight, gamma, alpha).sum()
    grad_input.copy_(torch.autograd.grad(loss, input)[0])


def _sigmoid_focal_loss(input: Tensor, target: Tensor, weight: Tensor, gamma: float, alpha: float) -> Tensor:
    """Lin et al., ICCV 2017, per element; ``target`` is a class index, that of the background being C."""
    num_classes = input.shape[1]
    one_hot = F.one_hot(target, num_classes + 1)[:, :num_classes].to(input.dtype)
    loss = torchvision.ops.sigmoid_focal_loss(input, one_hot, alpha=alpha, gamma=gamma)
    # mmcv's weights are per class of the target, without one for the background: 1 here
    return loss * F.pad(weight, (0, 1), value=1.0)[target].unsqueeze(1) if weight.numel() else loss


def deform_conv_forward(
    input: Tensor, weight: Tensor, offset: Tensor, output: Tensor, *_: Tensor, **kwargs: int
) -> None:
    result = _deform_conv(input, weight, offset, None, None, **kwargs)
    output.copy_(result)


def deform_conv_backward_input(
    input: Tensor,
    offset: Tensor,
    grad_output: Tensor,
    grad_input: Tensor,
    grad_offset: Tensor,
    weight: Tensor,
    *_: Tensor,
    **kwargs: int,
) -> None:
    grads = _deform_conv_grads((input, weight, offset, None, None), grad_output, kwargs)
    grad_input.copy_(grads[0])
    grad_offset.copy_(grads[2])


def deform_conv_backward_parameters(
    input: Tensor, offset: Tensor, grad_output: Tensor, grad_weight: Tensor, *_: Tensor, **kwargs: Any
) -> None:
    weight = torch.zeros_like(grad_weight)  # its own gradient does not depend on it
    scale = kwargs.pop('scale', 1.0)
    grads = _deform_conv_grads((input, weight, offset, None, None), grad_output, kwargs)
    grad_weight.add_(grads[1], alpha=scale)


def modulated_deform_conv_forward(
    input: Tensor,
    weight: Tensor,
    bias: Tensor,
    ones: Tensor,
    offset: Tensor,
    mask: Tensor,
    output: Tensor,
    columns: Tensor,
    **kwargs: Any,
) -> None:
    with_bias = kwargs.pop('with_bias')
    output.copy_(_deform_conv(input, weight, offset, mask, bias if with_bias else None, **_long_names(kwargs)))


def modulated_deform_conv_backward(
    input: Tensor,
    weight: Tensor,
    bias: Tensor,
    ones: Tensor,
    offset: Tensor,
    mask: Tensor,
    columns: Tensor,
    grad_input: Tensor,
    grad_weight: Tensor,
    grad_bias: Tensor,
    grad_offset: Tensor,
    grad_mask: Tensor,
    grad_output: Tensor,
    **kwargs: Any,
) -> None:
    with_bias = kwargs.pop('with_bias')
    tensors = (input, weight, offset, mask, bias if with_bias else None)
    grads = _deform_conv_grads(tensors, grad_output, _long_names(kwargs))
    for target, grad in zip((grad_input, grad_weight, grad_offset, grad_mask), grads):
        target.copy_(grad)
    if with_bias:
        grad_bias.copy_(grads[4])


def _long_names(kwargs: dict) -> dict:
    """Arguments of the modulated form under the names of the plain one."""
    names = dict(
        stride_h='dH', stride_w='dW', pad_h='padH', pad_w='padW', dilation_h='dilationH', dilation_w='dilationW'
    )
    return {names.get(key, key): value for key, value in kwargs.items()}


def _deform_conv(input: Any, weight: Any, offset: Any, mask: Any, bias: Any, **kwargs: int) -> Tensor:
    if kwargs['group'] * weight.shape[1] != input.shape[1]:
        raise ValueError(
            f'deformable convolution: {input.shape[1]} input channels do not fit a weight of shape '
            f'{tuple(weight.shape)} in {kwargs["group"]} groups.'
        )
    return torchvision.ops.deform_conv2d(
        input,
        offset,
        weight,
        bias,
        stride=(kwargs['dH'], kwargs['dW']),
        padding=(kwargs['padH'], kwargs['padW']),
        dilation=(kwargs['dilationH'], kwargs['dilationW']),
        mask=mask,
    )


def _deform_conv_grads(tensors: tuple, grad_output: Tensor, kwargs: dict) -> list:
    """Gradients of input, weight, offset, mask and bias, those that there are."""
    leaves = [None if tensor is None else tensor.detach().requires_grad_() for tensor in tensors]
    with torch.enable_grad():
        output = _deform_conv(*leaves, **kwargs)
    present = [leaf for leaf in leaves if leaf is not None]
    grads = iter(torch.autograd.grad(output, present, grad_output))
    return [None if leaf is None else next(grads) for leaf in leaves]


def ms_deform_attn_forward(
    value: Tensor,
    spatial_shapes: Tensor,
    level_start_index: Tensor,
    sampling_locations: Tensor,
    attention_weights: Tensor,
    im2col_step: int,
) -> Tensor:
    return _ms_deform_attn(value, spatial_shapes, sampling_locations, attention_weights)


def ms_deform_attn_backward(
    value: Tensor,
    spatial_shapes: Tensor,
    level_start_index: Tensor,
    sampling_locations: Tensor,
    attention_weights: Tensor,
    grad_output: Tensor,
    grad_value: Tensor,
    grad_sampling_locations: Tensor,
    grad_attention_weights: Tensor,
    im2col_step: int,
) -> None:
    leaves = [tensor.detach().requires_grad_() for tensor in (value, sampling_locations, attention_weights)]
    with torch.enable_grad():
        output = _ms_deform_attn(leaves[0], spatial_shapes, leaves[1], leaves[2])
    grads = torch.autograd.grad(output, leaves, grad_output)
    for target, grad in zip((grad_value, grad_sampling_locations, grad_attention_weights), grads):
        target.copy_(grad)


def _ms_deform_attn(value: Tensor, shapes: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
    # mmcv's own implementation in plain PyTorch, which it uses on CPUs
    from mmcv.ops.multi_scale_deform_attn import multi_scale_deformable_attn_pytorch

    return multi_scale_deformable_attn_pytorch(value, shapes, locations, weights)


def _missing(op: str) -> NoReturn:
    raise NotImplementedError(
        f'{op} is a compiled op of mmcv, which is not installed, and torchvision has no replacement for it. Either '
        'build mmcv with its ops (pip install "setuptools<81" wheel ninja, then pip install --no-build-isolation '
        '"mmcv>=2.0.0,<2.2.0" after pip uninstall mmcv-lite), or use mmcv\'s published wheel on a torch that it '
        'supports (pip install openmim, then mim install mmcv).'
    )


def __getattr__(name: str) -> Callable:
    if name.startswith('__'):
        raise AttributeError(name)

    def missing(*args: Any, **kwargs: Any) -> NoReturn:
        _missing(name)

    return missing
