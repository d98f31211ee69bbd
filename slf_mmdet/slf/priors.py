"""Where the weights of a decision network start, and what ``kl_weight`` holds them to."""

from abc import ABCMeta, abstractmethod

import torch
from mmdet.registry import TASK_UTILS
from torch import Tensor, nn

from ..balancers.part_gradients import part_gradients
from ..balancers.step import Step
from ..utils.checks import require
from ..utils.numerics import clamp_min_eps
from ..utils.running_mean import RunningMean

LARGEST_RATIO = 100


class Prior(nn.Module, metaclass=ABCMeta):
    """A distribution q over the parts.

    Args:
        base_weights: ``(n,)``, > 0, of the balancer, which fills them in.
    """

    def __init__(self, base_weights: Tensor) -> None:
        super().__init__()
        self.register_buffer('base_shares', base_weights / base_weights.sum(), persistent=False)
        self.base_shares: Tensor

    @abstractmethod
    def shares(self) -> Tensor:
        """q, ``(n,)``: > 0, sums to 1."""

    def update(self, step: Step, iteration: int) -> None:
        """Learns from a training step; by default nothing."""


@TASK_UTILS.register_module()
class BaseWeights(Prior):
    r"""The base weights' shares, :math:`q_i = \lambda_i / W`."""

    def shares(self) -> Tensor:
        return self.base_shares


@TASK_UTILS.register_module()
class EqualWeights(Prior):
    r"""Equal shares, :math:`q_i = 1 / n`. Of the base weights only the sum counts."""

    def shares(self) -> Tensor:
        return torch.full_like(self.base_shares, 1 / len(self.base_shares))


@TASK_UTILS.register_module()
class EqualGradientNorms(Prior):
    r"""Shares under which the gradients of all parts have the same norm, whatever base weights a user has set.

    .. math:: q_i \propto 1 / \sqrt{\langle \| \nabla \ell_i \|^2 \rangle}

    with the mean over all iterations so far: the balance that GradNorm (Chen et al., ICML 2018) steers to for
    :math:`\alpha = 0`, reached at once and without a learning rate. The mean forgets nothing, so that a part that is
    nearly learnt, as the empty cells of a grid soon are, does not take over. No share is more than a hundred times
    the smallest. Of the base weights only the sum counts; parts without a gradient so far keep their base share.

    Cost: a backward pass of each part down to the parameters in the first 100 iterations, in every fiftieth after that.

    Args:
        base_weights: see :class:`Prior`.
        at: the parameters at which gradients are compared: ``'output'``, of the layer that predicts (the YOLOv1 head
            offers it), or ``'shared'``, of the last shared layer (any detector).

    Raises:
        ValueError: ``at`` is not among its choices; or, in a step, the detector does not offer these parameters.
    """

    def __init__(self, base_weights: Tensor, at: str = 'output') -> None:
        super().__init__(base_weights)
        choices = ['output', 'shared']
        require(at in choices, type(self).__name__, 'at', f'one of {choices}', at)
        self.at = at
        self.sq_grad_norm_mean = RunningMean(len(base_weights))

    def update(self, step: Step, iteration: int) -> None:
        if iteration >= 100 and iteration % 50:
            return
        name = f'the prior {type(self).__name__}'
        if self.at == 'output':
            parameters = step.output_parameters(name, "Or take prior=dict(type='EqualGradientNorms', at='shared').")
        else:
            parameters = step.shared_parameters(name, "Or take prior=dict(type='EqualWeights').")
        self.sq_grad_norm_mean.update(step.average(part_gradients(step.parts, parameters)).square().sum(1))

    def shares(self) -> Tensor:
        norms = self.sq_grad_norm_mean.mean.sqrt()
        shares = 1 / norms.clamp_min(clamp_min_eps(norms.max()) / LARGEST_RATIO)
        measured = norms > 0
        shares = shares * (self.base_shares * measured).sum() / clamp_min_eps((shares * measured).sum())
        return torch.where(measured, shares, self.base_shares)
