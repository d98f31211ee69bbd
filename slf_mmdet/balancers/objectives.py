"""What the decision network minimises: a cost of each part, without a unit, and linear in the weights."""

from typing import Any, Callable, ClassVar, Dict, Optional, Tuple, Type, Union

import torch
from torch import Tensor, nn

from .checks import is_count, is_number
from .part_gradients import Shared, part_gradients, two_passes_suffice, weighted_gradient_and_slopes
from .processes import mean_over_processes
from .safe_math import positive
from .state import StepCounter

Criterion = Optional[Callable[[], Tensor]]


class Objective(nn.Module):
    r"""Goal :math:`\sum_i w_i c_i` of the decision network; a subclass says what a part costs.

    Costs are constants: no gradient flows through them into the detector. They have no unit and are about
    :math:`1 / W` each, so that an anchor of the weights means the same for every objective. All that is remembered is a
    buffer.

    Attributes:
        needs_shared: whether :meth:`costs` differentiates the parts.
        needs_criterion: whether it asks how good the predictions are.
        default_kl_weight: anchor that suits these costs.
        over_processes: whether what is compared are means over the processes, each of which must then call
            :meth:`costs` in every training step.
    """

    needs_shared = False
    needs_criterion = False
    default_kl_weight: ClassVar[float] = 20.0
    over_processes = False

    def costs(self, losses: Tensor, base_weights: Tensor, shared: Shared, criterion: Criterion = None) -> Tensor:
        """Costs of the parts.

        Args:
            losses: unweighted parts ``(n,)`` or ``(N, n)``, with their graph.
            base_weights: ``(n,)`` weights at the anchor.
            shared: what all parts depend on, where ``needs_shared``.
            criterion: makes a scalar that is the lower, the better the batch's predictions are.

        Returns:
            ``(n,)``, or ``(N, n)`` where each image has its own; detached.
        """
        raise NotImplementedError

    def _mean(self, values: Tensor) -> Tensor:
        return mean_over_processes(values) if self.over_processes and self.training else values


class JointObjective(Objective):
    r"""Algorithm 1 of Liu & Lai, AAAI 2020: the weighted training loss itself, :math:`c_i = \ell_i / \bar L`.

    :math:`\bar L`, the mean loss of the batch under the base weights, takes the unit out. With
    :math:`p = softmax(\mu)` the gradient of the undivided loss is :math:`p_i (\ell_i - \sum_j p_j \ell_j)`: without an
    anchor all weight ends on the smallest part.
    """

    def costs(self, losses: Tensor, base_weights: Tensor, shared: Shared, criterion: Criterion = None) -> Tensor:
        losses = losses.detach()
        return losses / positive(self._mean((base_weights * losses).sum(-1).mean()))


class NormalizedObjective(Objective):
    r"""Algorithm 1 over parts divided by their running means, :math:`c_i = \ell_i / (W m_i)`.

    Which part is small by nature no longer matters, only which is smaller than it was, or in which image.

    Args:
        momentum: share in [0, 1) of the old running mean :math:`m_i` in the new one.
    """

    def __init__(self, num_parts: int, momentum: float = 0.98) -> None:
        super().__init__()
        self.momentum = momentum
        self.register_buffer('mean', torch.zeros(num_parts))
        self.mean: Tensor

    def costs(self, losses: Tensor, base_weights: Tensor, shared: Shared, criterion: Criterion = None) -> Tensor:
        losses = losses.detach()
        return losses / positive(base_weights.sum() * self._update(losses))

    def _update(self, losses: Tensor) -> Tensor:
        """Running means of the parts, this batch included."""
        now = self._mean(losses if losses.dim() == 1 else losses.mean(0))
        now = torch.where(now.isfinite(), now, self.mean)
        mean = torch.where(self.mean > 0, torch.lerp(now, self.mean, self.momentum), now)
        if self.training:
            self.mean.copy_(mean)
        return mean


class ImprovementObjective(NormalizedObjective):
    r"""Gives weight to parts that fall behind: :math:`c_i = \log(m_i / \ell_i) / W`.

    The quantity whose minimum over the parts FAMO raises (Liu et al., NeurIPS 2023), over the horizon of the running
    mean :math:`m_i` instead of one step.
    """

    def costs(self, losses: Tensor, base_weights: Tensor, shared: Shared, criterion: Criterion = None) -> Tensor:
        losses = losses.detach()
        return (positive(self._update(losses)) / positive(losses)).log() / base_weights.sum()


class HeldOutObjective(Objective):
    r"""Gives weight to parts whose training helps images that they were not trained on.

    Liu & Lai, AAAI 2020, Eq. 1 asks for weights that are good on held-out data. To first order, a step on part i lowers
    the reference R on other images by the inner product of the two gradients:

    .. math:: h_i = \langle \nabla \ell_i, r \rangle, \qquad
              c_i = -\frac{\langle h_i \rangle}{W \max_j \sqrt{\langle h_j^2 \rangle}}, \qquad
              r \leftarrow \beta r + (1 - \beta) \nabla R \text{ after that}

    :math:`\langle \cdot \rangle` are running means of the same horizon :math:`\beta`, as the trace of online
    hypergradient methods; divided by a root mean square, help that comes and goes with the batch counts for little. As
    :math:`|W c_i| \le 1`, an anchor :math:`\kappa` keeps each part within a factor :math:`e^{1 / \kappa}` of its share
    before normalisation: a signal that is wrong cannot make the weights collapse. The gradients are taken at the last
    shared layer. The reference r holds the batches before this one, so no image is compared with itself.

    Cost: two backward passes from the loss down to ``shared``, every ``interval`` iterations; one for each part where
    an operation on the way can be differentiated once only, as some compiled ones of mmcv. ``'criterion'`` adds that
    loss and its backward pass.

    Args:
        num_parts: n.
        reference: what R is: ``'base'`` for the base-weighted sum of the parts, which no weights but the base weights
            can lower best, or ``'criterion'`` for what the detector offers as a measure of its detections. The YOLOv1
            head and ``BalancedDetector`` offer :func:`~slf_mmdet.losses.soft_average_precision`.
        momentum: :math:`\beta` in [0, 1); 0 compares this batch with the one before it, and nothing else.
        interval: iterations >= 1 from one comparison to the next; the costs stay in between.
    """

    needs_shared = True
    default_kl_weight = 1.0

    def __init__(self, num_parts: int, reference: str = 'base', momentum: float = 0.95, interval: int = 1) -> None:
        super().__init__()
        self.needs_criterion = reference == 'criterion'
        self.momentum = momentum
        self.interval = interval
        self.register_buffer('reference', torch.zeros(0))  # sized by the first gradient
        self.register_buffer('helps', torch.zeros(num_parts))
        self.register_buffer('squares', torch.zeros(num_parts))
        self.reference: Tensor
        self.helps: Tensor
        self.squares: Tensor
        self._two_passes: Optional[bool] = None  # not known yet
        self.calls = StepCounter()

    def costs(self, losses: Tensor, base_weights: Tensor, shared: Shared, criterion: Criterion = None) -> Tensor:
        if self.training and torch.is_grad_enabled():
            if self.calls.value % self.interval == 0:
                self._compare(losses, base_weights, shared, criterion)
            self.calls.advance()
        return -self.helps / positive(base_weights.sum() * self.squares.max().sqrt())

    def _compare(self, losses: Tensor, base_weights: Tensor, shared: Shared, criterion: Criterion) -> None:
        gradient, slopes = self._differentiate(losses, base_weights, shared)
        if self.needs_criterion:
            if criterion is None:
                raise ValueError(
                    "objective 'heldout': reference='criterion' needs a detector that offers a measure of its "
                    "detections, as YOLOV1Head and BalancedDetector do. Take reference='base' for others."
                )
            gradient = part_gradients(criterion().unsqueeze(0), shared)[0]
        gradient, slopes = self._mean(gradient), self._mean(slopes)
        if len(self.reference) == 0:
            self.reference = torch.zeros_like(gradient)
        slopes = slopes.to(self.helps)
        finite = gradient.isfinite().all() & slopes.isfinite().all()  # one bad batch must not spoil what is remembered
        for mean, now in ((self.helps, slopes), (self.squares, slopes.square()), (self.reference, gradient)):
            mean.copy_(torch.where(finite, torch.lerp(now, mean, self.momentum), mean))

    def _differentiate(self, losses: Tensor, base_weights: Tensor, shared: Shared) -> Tuple[Tensor, Tensor]:
        """Gradient of the base-weighted loss ``(D,)``, and slope of each part along the reference ``(n,)``."""
        if len(self.reference) == 0:
            return weighted_gradient_and_slopes(losses, base_weights, shared, None)
        if self._two_passes is None:
            self._two_passes = two_passes_suffice(losses, base_weights, shared, self.reference)
        if self._two_passes:
            return weighted_gradient_and_slopes(losses, base_weights, shared, self.reference)
        gradients = part_gradients(losses, shared)
        return base_weights @ gradients, gradients @ self.reference

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args: object, **kwargs: object) -> None:
        saved = state_dict.get(f'{prefix}reference')
        if saved is not None:
            self.reference = self.reference.new_zeros(saved.shape)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


OBJECTIVES: Dict[str, Type[Objective]] = dict(
    joint=JointObjective, normalized=NormalizedObjective, improvement=ImprovementObjective, heldout=HeldOutObjective
)


def build_objective(cfg: Union[str, Dict[str, Any]], num_parts: int) -> Objective:
    """Makes an objective from its name, or from ``dict(type=name, ...)`` with its settings.

    Raises:
        ValueError: there is no such objective, or a setting is unknown or out of its range.
    """
    settings = dict(type=cfg) if isinstance(cfg, str) else dict(cfg)
    name = settings.pop('type', None)
    if name not in OBJECTIVES:
        raise ValueError(f'objective must be one of {list(OBJECTIVES)}, found {name!r}.')
    known = dict(joint=(), heldout=('reference', 'momentum', 'interval')).get(name, ('momentum',))
    unknown = sorted(set(settings) - set(known))
    if unknown:
        raise ValueError(f'objective {name!r} has no setting {unknown}; it has {list(known)}.')
    momentum: Any = settings.get('momentum', 0.5)
    interval: Any = settings.get('interval', 1)
    reference: Any = settings.get('reference', 'base')
    if not (is_number(momentum, 0) and momentum < 1):
        raise ValueError(f'objective {name!r}: momentum must be in [0, 1), found {momentum!r}.')
    if not is_count(interval):
        raise ValueError(f'objective {name!r}: interval must be an integer >= 1, found {interval!r}.')
    if reference not in ('base', 'criterion'):
        raise ValueError(f"objective {name!r}: reference must be one of ['base', 'criterion'], found {reference!r}.")
    objective = JointObjective() if name == 'joint' else OBJECTIVES[name](num_parts, **settings)
    objective.over_processes = True
    return objective
