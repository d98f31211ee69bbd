"""The interface of every balancer: named loss parts in, one objective and its weights out."""

import math
from abc import ABCMeta, abstractmethod
from typing import Dict, Mapping, NamedTuple, Optional, Sequence, Tuple

import torch
from mmengine.model import BaseModule
from torch import Tensor

from ..utils.numerics import at_least_fp32, mean_over_images, weighted
from .detection_quality import DetectionQuality
from .sharded import check_not_sharded
from .step import Lazy, Parameters, QualityOf, Step


class BalancerOutput(NamedTuple):
    """What a balancer decides in one step.

    Attributes:
        weights: ``(n,)``, ``(1, n)`` or ``(N, n)`` for n parts and N images; finite, >= 0. May carry a gradient.
        aux_loss: scalar of which only the gradient enters the objective, to train what the balancer learns. Its value
            is left out, so that ``loss_<part>`` stay readable as weighted losses.
    """

    weights: Tensor
    aux_loss: Optional[Tensor] = None


class StepRecord(NamedTuple):
    """What went into a step and what came out, for those who watch a run: means over the images, detached.

    Attributes:
        losses: ``(n,)`` unweighted parts.
        weights: ``(n,)``.
        weighted: ``(n,)`` the parts of the objective. Where images have weights of their own, it is not the product
            of the other two.
        selected: ``(n,)`` share of the images in which the part has a weight > 0.
    """

    losses: Tensor
    weights: Tensor
    weighted: Tensor
    selected: Tensor


class LossBalancer(BaseModule, metaclass=ABCMeta):
    r"""Weighs the parts :math:`\ell_i` of a loss: :math:`L = \sum_i w_i \ell_i`.

    A subclass implements :meth:`compute_weights`. Everything it learns or remembers is a parameter or a buffer, so that
    the ordinary checkpoint carries it.

    Base weights mean the same everywhere: a part of base weight :math:`\lambda_i` counts as :math:`\lambda_i` parts.
    Where all are 1, a method is that of its paper; :math:`W = \sum_i \lambda_i` takes the place of n.

    Every forward pass in training mode is a step of the method. With gradient accumulation these are the small
    batches, so a method that looks at values of losses sees each of them by itself. In eval mode nothing is learnt,
    remembered or exchanged between processes.

    Distributed training is that of one process with all images: methods that look at values or gradients take their
    mean over the processes, learnt parameters have their gradients averaged as those of the detector, and random
    numbers come from one seed. So the weights are equal in all processes. (Those that SLF gives each image follow the
    image, and are drawn independently.)

    Training under FSDP, DeepSpeed or ColossalAI is an error.

    A part of weight 0 contributes exactly 0 to the value and to the gradient with respect to the part, also when it is
    inf or nan. Where an operation before it has a derivative that is not finite, as of log(0), autograd still
    multiplies that with 0, which is nan.

    Attributes:
        last: the latest :class:`StepRecord`, in the order of ``parts``; ``None`` before the first.

    Args:
        parts: names of the parts, in order. Defaults to the names in ``base_weights``.
        base_weights: part name -> hand-set weight, finite and >= 0. Parts left out weigh 1.
        feature_dim: D of the ``(N, D)`` features given to :meth:`forward`; ``None`` where there are none.
        init_cfg: see mmengine's ``BaseModule``.

    Raises:
        ValueError: no part is named, a name contains "loss" (mmengine adds every such key to the objective), a base
            weight is negative, not finite or of an unknown part, or all of them are 0.

    Examples:
        >>> from slf_mmdet.balancers import StaticBalancer
        >>> balancer = StaticBalancer(base_weights=dict(box=2.0, cls=1.0))
        >>> balancer(dict(box=torch.tensor(0.5), cls=torch.tensor(3.0)))['loss_box']
        tensor(1.)
    """

    def __init__(
        self,
        parts: Optional[Sequence[str]] = None,
        base_weights: Optional[Mapping[str, float]] = None,
        feature_dim: Optional[int] = None,
        init_cfg: Optional[dict] = None,
    ) -> None:
        super().__init__(init_cfg)
        base_weights = dict(base_weights or {})
        self.parts = tuple(parts if parts is not None else base_weights)
        self.feature_dim = feature_dim
        self._check_names(base_weights)
        for name, weight in base_weights.items():
            if not (isinstance(weight, (int, float)) and math.isfinite(weight) and weight >= 0):
                raise ValueError(
                    f'{self._name}: base_weights[{name!r}] must be a finite number >= 0, found {weight!r}.'
                )
        weights = [float(base_weights.get(name, 1.0)) for name in self.parts]
        self.total_weight = sum(weights)
        self.last: Optional[StepRecord] = None
        if self.total_weight == 0:
            raise ValueError(f'{self._name}: all base weights are 0; at least one part must count.')
        # The config says what the base weights are, not a checkpoint: a run resumed with others uses the others.
        self.register_buffer('base_weights', torch.tensor(weights), persistent=False)
        self.base_weights: Tensor

    @abstractmethod
    def compute_weights(self, step: Step) -> BalancerOutput:
        """Decides the weights of one step.

        Args:
            step: the losses, in the order of ``self.parts``, and what else the detector offers.
        """

    @torch.compiler.disable  # what counts steps would be compiled anew in each of them
    def forward(
        self,
        parts: Mapping[str, Tensor],
        features: Optional[Tensor] = None,
        *,
        shared_parameters: Lazy[Parameters] = None,
        output_parameters: Lazy[Parameters] = None,
        detection_quality: Lazy[DetectionQuality] = None,
        quality_of: Optional[QualityOf] = None,
        image_ids: Sequence[str] = (),
        parts_at_once: Optional[int] = None,
    ) -> Dict[str, Tensor]:
        """Weighs the parts.

        Args:
            parts: name -> unweighted loss, a scalar or ``(N,)`` per image.
            features: ``(N, D)`` what a decision network sees.
            shared_parameters: see :class:`Step`, as for the following; only what the method asks for is computed.
            output_parameters: see there.
            detection_quality: see there.
            quality_of: see there.
            image_ids: see there.
            parts_at_once: see there.

        Returns:
            An mmengine loss dict: ``loss_<part>``, the weighted scalars whose sum is the objective (means over the
            images), and ``balance_<part>``, the detached mean weights for the log.

        Raises:
            ValueError: the names are not ``self.parts``, a part is neither a scalar nor ``(N,)``, or the method needs
                what is not offered.
            ShardedTrainingError: the model is trained under FSDP.
        """
        if self.training:
            check_not_sharded(self)
        separate = self._separate(parts)
        step = Step(
            torch.stack(separate, dim=-1),
            self.parts,
            None if features is None else at_least_fp32(features),
            shared_parameters,
            output_parameters,
            detection_quality,
            quality_of,
            image_ids,
            self.training,
            parts_at_once,
            separate,
        )
        with torch.autocast(step.losses.device.type, enabled=False):
            weights, aux_loss = self.compute_weights(step)
            objective = mean_over_images(weighted(weights, step.losses))
        fixed = weights.detach()
        self.last = StepRecord(
            mean_over_images(step.losses.detach()),
            mean_over_images(fixed),
            objective.detach(),
            mean_over_images((fixed > 0).to(fixed.dtype)),
        )
        if aux_loss is not None:
            objective = objective + (aux_loss - aux_loss.detach()) / len(self.parts)
        out = {f'loss_{name}': value for name, value in zip(self.parts, objective.unbind())}
        out.update({f'balance_{name}': value for name, value in zip(self.parts, self.last.weights.unbind())})
        return out

    def monitored(self) -> Dict[str, Tensor]:
        """For the log, besides the weights: kind -> ``(n,)``, a value of each part. Nothing by default."""
        return {}

    def collapse_advice(self) -> str:
        """The likely cause when almost all weight is gone from a part, and which setting to change."""
        return (
            f'Likely cause: nothing in {self._name} keeps the weights near the base weights. See its settings for a '
            'temperature or a learning rate that slows it down, or compare with StaticBalancer.'
        )

    def values(self, step: Step) -> Tensor:
        """The parts as numbers to look at: ``(n,)`` means over the images and, in training, over the processes.

        One of base weight 0 that is not finite reads 0: nothing may depend on it.
        """
        values = step.average(mean_over_images(step.losses.detach().to(self.base_weights)))
        return values.masked_fill((self.base_weights == 0) & ~values.isfinite(), 0)

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

    def softmax_around_base(self, scores: Tensor) -> Tensor:
        r"""Weights :math:`W \lambda_i e^{s_i} / \sum_j \lambda_j e^{s_j}`, ``(n,)``.

        Equal scores give the base weights; the sum is always W.
        """
        return self.total_weight * (scores + self.base_weights.log()).softmax(0)

    def _separate(self, parts: Mapping[str, Tensor]) -> Tuple[Tensor, ...]:
        """The parts in order, all scalars or all ``(N,)``."""
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
        return tuple(torch.broadcast_tensors(*values))

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
