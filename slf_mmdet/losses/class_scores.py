"""Converts logits and class targets, in the forms that heads pass them, to probabilities and one-hot vectors."""

import torch
import torch.nn.functional as F
from torch import Tensor

_ROUNDING = 1e-2  # of probabilities that were computed in half precision


def checked_labels(labels: Tensor, num_classes: int) -> Tensor:
    """Class indices as int64, after a check that they are in range.

    On a GPU the values are left to the assertions of its kernels: to read them would wait for the device.

    Args:
        labels: of any shape and integer type.
        num_classes: labels must be from 0 to ``num_classes - 1``.

    Raises:
        ValueError: a label is out of its range, or not an integer.
    """
    if labels.is_floating_point() or labels.is_complex():
        raise ValueError(f'Class labels must be integers, found the type {labels.dtype}.')
    labels = labels.long()
    if labels.device.type == 'cpu' and labels.numel():
        low, high = (int(value) for value in labels.aminmax())
        if low < 0 or high >= num_classes:
            raise ValueError(
                f'Class labels must be from 0 to {num_classes - 1}, found {low if low < 0 else high}. Samples that are '
                'to be left out need the weight 0, or a label equal to ignore_index.'
            )
    return labels


def one_hot_target(target: Tensor, pred: Tensor, background: bool = True) -> Tensor:
    """Class targets as ``(N, C)`` in the type of the prediction.

    Args:
        target: class index ``(N,)`` from 0 to C; C, mmdet's background where there is no channel for it, gives a row of
            zeros. Or ``(N, C)``, probabilities, which are returned.
        pred: ``(N, C)``.
        background: ``False`` where a row of zeros has no meaning: class indices are below C, probabilities sum to 1.

    Raises:
        ValueError: the target has another shape, or a value out of its range; see :func:`checked_labels`.
    """
    num_classes = pred.shape[-1] if pred.dim() else 1
    if target.shape == pred.shape:
        target = target.to(pred.dtype)
        if target.device.type == 'cpu' and target.numel():
            _check_probabilities(target, sum_to_one=not background)
        return target
    if target.shape != pred.shape[:-1]:
        raise ValueError(
            f'The target of predictions of shape {tuple(pred.shape)} must be class indices {tuple(pred.shape[:-1])} or '
            f'class probabilities {tuple(pred.shape)}, found the shape {tuple(target.shape)}.'
        )
    labels = checked_labels(target, num_classes + background)
    return F.one_hot(labels, num_classes + 1)[..., :num_classes].to(pred.dtype)


def _check_probabilities(target: Tensor, sum_to_one: bool) -> None:
    what = 'A target of the shape of the prediction is class probabilities:'
    low, high = (float(value) for value in target.aminmax())
    if low < -_ROUNDING or high > 1 + _ROUNDING:
        raise ValueError(f'{what} they must be from 0 to 1, found {low if low < -_ROUNDING else high:g}.')
    if sum_to_one:
        low, high = (float(value) for value in target.sum(-1).aminmax())
        if low < 1 - _ROUNDING or high > 1 + _ROUNDING:
            raise ValueError(f'{what} those of a sample must sum to 1, found {low if low < 1 - _ROUNDING else high:g}.')


def exclusive_target(target: Tensor, pred: Tensor) -> Tensor:
    """Targets of exclusive classes as torch's cross-entropy takes them: indices ``(N,)`` or probabilities ``(N, C)``.

    Raises:
        ValueError: the predictions ``(N, C)`` are of one class, or the target has another shape, or a value out of its
            range; see :func:`one_hot_target`.
    """
    require_several_classes(pred)
    if target.shape == pred.shape[:-1]:
        return checked_labels(target, pred.shape[-1])
    return one_hot_target(target, pred, background=False)


def require_several_classes(pred: Tensor) -> None:
    """Checks that exclusive classes are at least two.

    Raises:
        ValueError: predictions ``(N, C)`` are of one class, whose softmax is 1 whatever they are.
    """
    if pred.shape[-1] < 2:
        raise ValueError(
            f'Exclusive classes (softmax) must be at least two, found predictions of shape {tuple(pred.shape)}: of one '
            'class the probability is always 1. Set use_sigmoid=True, or give the background a channel.'
        )


def log_probabilities(pred: Tensor, use_sigmoid: bool = False) -> tuple[Tensor, Tensor]:
    r"""Stable :math:`\log p` and :math:`\log(1 - p)` of logits ``(N, C)``, finite in value and gradient.

    With softmax, :math:`\log(1 - p_i)` is the log-sum-exp of the other logits minus that of all. That is
    ``log1p(-p)``, except for the largest p, the only one that can be close to 1.

    Raises:
        ValueError: softmax of one class.
    """
    if use_sigmoid:
        return F.logsigmoid(pred), F.logsigmoid(-pred)
    require_several_classes(pred)
    log_p = pred.log_softmax(-1)
    is_largest = F.one_hot(pred.argmax(-1), pred.shape[-1]).bool()
    # Each sum relative to its largest term: the difference of two large numbers would be rounded
    first, second = pred.detach().topk(2).values.split(1, -1)
    rest = (pred - second).masked_fill(is_largest, -torch.inf).logsumexp(-1, keepdim=True)
    rest_of_largest = second - first + rest - (pred - first).logsumexp(-1, keepdim=True)
    rest_of_others = torch.log1p(-log_p.exp().masked_fill(is_largest, 0))
    return log_p, torch.where(is_largest, rest_of_largest, rest_of_others)


def probabilities(pred: Tensor, use_sigmoid: bool = False) -> Tensor:
    """Class probabilities of logits ``(N, C)``.

    Raises:
        ValueError: softmax of one class.
    """
    if use_sigmoid:
        return pred.sigmoid()
    require_several_classes(pred)
    return pred.softmax(-1)
