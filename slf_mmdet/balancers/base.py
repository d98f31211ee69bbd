"""The interface of every balancer: named loss parts in, one objective and its weights out."""

import math
from abc import ABCMeta, abstractmethod
from typing import ClassVar, Mapping, NamedTuple, Optional, Sequence, Union

import torch
from mmengine.model import BaseModule
from torch import Tensor

from .criterion import AskedCriterion
from .processes import mean_over_processes


class Weighing(NamedTuple):
    """What a balancer decides in one step.

    Attributes:
        weights: shape ``(n,)``, ``(1, n)`` or ``(N, n)`` for n parts and N images; finite, >= 0. May carry a
            gradient.
        penalty: scalar of which only the gradient enters the objective (an anchor of the weights, say); its value
            is left out, so that ``loss_<part>`` stay readable as weighted losses.
    """

    weights: Tensor
    penalty: Optional[Tensor] = None


class BalancedStep(NamedTuple):
    """What went into a step and what came out, for those who watch a run: means over the images, detached.

    Attributes:
        losses: ``(n,)`` unweighted parts.
        weights: ``(n,)``.
        weighted: ``(n,)`` the parts of the objective. Where images have weights of their own, it is not the product
            of the other two.
    """

    losses: Tensor
    weights: Tensor
    weighted: Tensor


class LossBalancer(BaseModule, metaclass=ABCMeta):
    r"""Weighs the parts :math:`\ell_i` of a loss: :math:`L = \sum_i w_i \ell_i`.

    A subclass implements :meth:`weigh`. All that it learns or remembers is a parameter or a buffer, so that the
    ordinary checkpoint carries it.

    Base weights mean the same everywhere: a part of base weight :math:`\lambda_i` counts as :math:`\lambda_i` parts.
    Where all are 1, a method is that of its paper; :math:`W = \sum_i \lambda_i` takes the place of n.

    Every forward pass in training mode is a step of the method. With gradient accumulation these are the small
    batches, so a method that looks at values of losses sees each of them by itself. In eval mode nothing is learnt,
    remembered or exchanged between processes.

    Distributed training is that of one process with all images: methods that look at values or gradients take their
    mean over the processes, learnt parameters have their gradients averaged as those of the detector, and random
    numbers come from one seed. So the weights are equal in all processes. (Those that SLF gives each image follow the
    image, and are drawn independently.)

    Attributes:
        needs_shared: the method differentiates the parts, see ``shared`` of :meth:`forward`.
        needs_output_layer: it compares how large the parts' gradients are, see ``output_layer`` there.
        needs_criterion: the method wants to know how good the predictions are, see ``criterion`` there.
        last: the latest :class:`BalancedStep`, in the order of ``parts``; ``None`` before the first.

    Args:
        parts: names of the parts, in order. Defaults to the names in ``base_weights``.
        base_weights: part name -> hand-set weight, finite and >= 0. Parts left out weigh 1.
        context_dim: D of the ``(N, D)`` context given to :meth:`forward`; ``None`` where there is none.
        init_cfg: see mmengine's ``BaseModule``.

    Raises:
        ValueError: no part is named, a name contains "loss" (mmengine adds every such key to the objective), a base
            weight is negative, not finite or of an unknown part, or all of them are 0.
    """

    needs_shared: ClassVar[bool] = False
    needs_output_layer: ClassVar[bool] = False
    needs_criterion: ClassVar[bool] = False

    def __init__(
        self,
        parts: Optional[Sequence[str]] = None,
        base_weights: Optional[Mapping[str, float]] = None,
        context_dim: Optional[int] = None,
        init_cfg: Optional[dict] = None,
    ) -> None:
        super().__init__(init_cfg)
        base_weights = dict(base_weights or {})
        self.parts = tuple(parts if parts is not None else base_weights)
        self.context_dim = context_dim
        self._check_names(base_weights)
        for name, weight in base_weights.items():
            if not (isinstance(weight, (int, float)) and math.isfinite(weight) and weight >= 0):
                raise ValueError(
                    f'{self._name}: base_weights[{name!r}] must be a finite number >= 0, found {weight!r}.'
                )
        weights = [float(base_weights.get(name, 1.0)) for name in self.parts]
        self.total_weight = sum(weights)
        self.last: Optional[BalancedStep] = None
        if self.total_weight == 0:
            raise ValueError(f'{self._name}: all base weights are 0; at least one part must count.')
        # The config says what the base weights are, not a checkpoint: a run resumed with others uses the others.
        self.register_buffer('base_weights', torch.tensor(weights), persistent=False)
        self.base_weights: Tensor

    @abstractmethod
    def weigh(self, losses: Tensor, context: Optional[Tensor]) -> Weighing:
        """Decides the weights of one step.

        Args:
            losses: unweighted parts in the order of ``self.parts``, ``(n,)`` or, per image, ``(N, n)``; at least fp32.
            context: ``(N, D)`` what the detector put out, at least fp32, or ``None``.
        """

    @torch.compiler.disable  # what counts steps would be compiled anew in each of them
    def forward(
        self,
        parts: Mapping[str, Tensor],
        context: Optional[Tensor] = None,
        shared: Union[Tensor, Sequence[Tensor], None] = None,
        criterion: AskedCriterion = None,
        output_layer: Union[Tensor, Sequence[Tensor], None] = None,
    ) -> dict[str, Tensor]:
        """Weighs the parts.

        Args:
            parts: name -> unweighted loss, a scalar or ``(N,)`` per image.
            context: ``(N, D)`` what a decision network sees, or ``None``.
            shared: what all parts depend on, with their graph: the weight of the last shared layer, or feature maps.
                Used where ``needs_shared`` is true; ``None`` takes the context.
            criterion: makes a scalar that depends on ``shared`` and is the lower, the better the batch's predictions
                are; a :class:`~slf_mmdet.balancers.criterion.Criterion` also says what it would be if a part were
                solved. Called where ``needs_criterion`` is true.
            output_layer: parameters of the layer that predicts, of which a part may have rows of its own. Used where
                ``needs_output_layer`` is true; ``None`` takes ``shared``.

        Returns:
            An mmengine loss dict: ``loss_<part>``, the weighted scalars whose sum is the objective (means over the
            images), and ``balance/<part>``, the detached mean weights for the log.

        Raises:
            ValueError: the names are not ``self.parts``, or a part is neither a scalar nor ``(N,)``.
        """
        losses = self._stack(parts)
        if context is not None:
            context = at_least_fp32(context)
        with torch.autocast(losses.device.type, enabled=False):
            seen: dict = dict(shared=shared) if self.needs_shared else {}
            if self.needs_output_layer:
                seen['output_layer'] = output_layer
            if self.needs_criterion:
                seen['criterion'] = criterion
            weights, penalty = self.weigh(losses, context, **seen)
            weighted = _over_images(weights * losses)
        mean_weights = _over_images(weights.detach())
        self.last = BalancedStep(_over_images(losses.detach()), mean_weights, weighted.detach())
        if penalty is not None:
            weighted = weighted + (penalty - penalty.detach()) / len(self.parts)
        out = {f'loss_{name}': value for name, value in zip(self.parts, weighted.unbind())}
        out.update({f'balance/{name}': value for name, value in zip(self.parts, mean_weights.unbind())})
        return out

    def values(self, losses: Tensor) -> Tensor:
        """The parts as numbers to look at: ``(n,)`` means over the images and, in training, over the processes."""
        values = losses.detach().to(self.base_weights)
        return self.mean_over_processes(_over_images(values))

    def mean_over_processes(self, values: Tensor) -> Tensor:
        """The mean over all processes in training mode, else the tensor itself."""
        return mean_over_processes(values) if self.training else values

    def remember(self, values: Tensor, **buffers: Tensor) -> None:
        """Overwrites buffers in training mode, unless a value is not finite: one bad batch must not spoil the history.

        Args:
            values: what the new contents were computed from.
            buffers: name of a buffer -> its new content.
        """
        if not self.training:
            return
        finite = values.isfinite().all()
        for name, content in buffers.items():
            buffer = self.get_buffer(name)
            buffer.copy_(torch.where(finite, content, buffer))

    def tilt(self, scores: Tensor) -> Tensor:
        r"""A softmax around the base weights: :math:`W \lambda_i e^{s_i} / \sum_j \lambda_j e^{s_j}`, shape ``(n,)``.

        Equal scores give the base weights; the sum is always W.
        """
        return self.total_weight * (scores + self.base_weights.log()).softmax(0)

    def _stack(self, parts: Mapping[str, Tensor]) -> Tensor:
        """Parts as one tensor: ``(n,)`` when all are scalars, else ``(N, n)``."""
        if set(parts) != set(self.parts):
            raise ValueError(
                f'{self._name}: the loss has the parts {sorted(parts)}, but the balancer was made for '
                f'{sorted(self.parts)}. Name exactly the parts that the loss has.'
            )
        values = [at_least_fp32(parts[name]) for name in self.parts]
        shapes = {value.shape for value in values if value.dim() > 0}
        if len(shapes) > 1 or any(len(shape) > 1 for shape in shapes):
            found = {name: tuple(parts[name].shape) for name in self.parts}
            raise ValueError(
                f'{self._name}: every part must be a scalar or (N,) with one value per image, found {found}.'
            )
        return torch.stack(torch.broadcast_tensors(*values), dim=-1)

    def _check_names(self, base_weights: Mapping[str, float]) -> None:
        if not self.parts:
            raise ValueError(
                f'{self._name}: no part is named. Give base_weights=dict(part=weight, ...) or parts=[...].'
            )
        duplicates = sorted({name for name in self.parts if self.parts.count(name) > 1})
        if duplicates:
            raise ValueError(f'{self._name}: parts are named more than once: {duplicates}.')
        for name in self.parts:
            if 'loss' in name:
                hint = name.replace('loss_', '').replace('loss', '') or 'total'
                raise ValueError(
                    f"{self._name}: the part name {name!r} contains 'loss': mmengine would add its logged weight to "
                    f'the objective. Use {hint!r}.'
                )
        unknown = sorted(set(base_weights) - set(self.parts))
        if unknown:
            raise ValueError(f'{self._name}: base_weights names {unknown}, but the parts are {list(self.parts)}.')

    @property
    def _name(self) -> str:
        return type(self).__name__


def at_least_fp32(value: Tensor) -> Tensor:
    """The values of fp16 and bf16 as fp32, others as they are."""
    return value.float() if value.dtype in (torch.float16, torch.bfloat16) else value


def _over_images(values: Tensor) -> Tensor:
    return values if values.dim() == 1 else values.mean(0)
