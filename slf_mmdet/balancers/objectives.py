"""What the decision network minimises: a cost of each part, without a unit, and linear in the weights."""

import inspect
from typing import Any, ClassVar, Dict, Optional, Sequence, Tuple, Type, Union

import torch
from torch import Tensor, nn

from .checks import is_count, is_number, require
from .criterion import AskedCriterion, Criterion
from .part_gradients import Shared, part_gradients
from .processes import mean_over_processes
from .safe_math import positive
from .state import StepCounter

FIRST_INTERVAL = 5
ENOUGH_TO_GAIN = 0.1  # of average precision


class Objective(nn.Module):
    r"""Goal :math:`\sum_i w_i c_i` of the decision network; a subclass says what a part costs.

    Costs are constants: no gradient flows through them into the detector. They have no unit and are about
    :math:`1 / W` each, so that an anchor of the weights means the same for every objective. All that is remembered is a
    buffer.

    Args:
        num_parts: n, for those that remember something of each part.

    Attributes:
        name: what a config calls it.
        needs_shared: whether :meth:`costs` differentiates the parts.
        needs_criterion: whether it asks how good the predictions are.
        default_kl_weight: anchor that suits these costs.
        over_processes: whether what is compared are means over the processes, each of which must then call
            :meth:`costs` in every training step.
    """

    name: ClassVar[str]
    needs_shared = False
    needs_criterion = False
    default_kl_weight: ClassVar[float] = 20.0
    over_processes = False

    def __init__(self, num_parts: int) -> None:
        super().__init__()

    def costs(
        self, losses: Tensor, base_weights: Tensor, weights: Tensor, shared: Shared, criterion: AskedCriterion = None
    ) -> Tensor:
        """Costs of the parts.

        Args:
            losses: unweighted parts ``(n,)`` or ``(N, n)``, with their graph.
            base_weights: ``(n,)`` weights at the anchor.
            weights: ``(n,)`` or ``(N, n)`` that the parts have now.
            shared: what all parts depend on, where ``needs_shared``.
            criterion: makes a scalar that is the lower, the better the batch's predictions are.

        Returns:
            ``(n,)``, or ``(N, n)`` where each image has its own; detached.

        Raises:
            ValueError: the objective needs gradients, but neither the losses nor ``shared`` carry a graph; or it needs
                a criterion, and there is none.
        """
        raise NotImplementedError

    def _check_momentum(self, momentum: float) -> None:
        right = is_number(momentum, 0) and momentum < 1
        self._require(right, 'momentum', 'in [0, 1)', momentum)

    def _require(self, condition: bool, key: str, wanted: str, found: object) -> None:
        require(condition, f'objective {self.name!r}', key, wanted, found)

    def _mean(self, values: Tensor) -> Tensor:
        return mean_over_processes(values) if self.over_processes and self.training else values


class JointObjective(Objective):
    r"""Algorithm 1 of Liu & Lai, AAAI 2020: the weighted training loss itself, :math:`c_i = \ell_i / \bar L`.

    :math:`\bar L`, the mean loss of the batch under the base weights, takes the unit out; a negative part
    counts by its absolute value there. With :math:`p = softmax(\mu)` the gradient of the undivided loss is
    :math:`p_i (\ell_i - \sum_j p_j \ell_j)`: without an anchor all weight ends on the smallest part.
    """

    name = 'joint'

    def costs(
        self, losses: Tensor, base_weights: Tensor, weights: Tensor, shared: Shared, criterion: AskedCriterion = None
    ) -> Tensor:
        losses = losses.detach()
        return losses / positive(self._mean((base_weights * losses.abs()).sum(-1).mean()))


class NormalizedObjective(Objective):
    r"""Algorithm 1 over parts divided by their running means, :math:`c_i = \ell_i / (W m_i)`.

    Which part is small by nature no longer matters, only which is smaller than it was, or in which image.

    Args:
        num_parts: n.
        momentum: share in [0, 1) of the old running mean :math:`m_i` in the new one.

    Raises:
        ValueError: ``momentum`` is out of its range.
    """

    name = 'normalized'

    def __init__(self, num_parts: int, momentum: float = 0.98) -> None:
        super().__init__(num_parts)
        self._check_momentum(momentum)
        self.momentum = momentum
        self.register_buffer('mean', torch.zeros(num_parts))
        self.mean: Tensor

    def costs(
        self, losses: Tensor, base_weights: Tensor, weights: Tensor, shared: Shared, criterion: AskedCriterion = None
    ) -> Tensor:
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

    name = 'improvement'

    def costs(
        self, losses: Tensor, base_weights: Tensor, weights: Tensor, shared: Shared, criterion: AskedCriterion = None
    ) -> Tensor:
        losses = losses.detach()
        return (positive(self._update(losses)) / positive(losses)).log() / base_weights.sum()


class ComparingObjective(Objective):
    r"""Costs from what is looked at every few iterations; all that was found in a run counts about equally.

    By default every fifth iteration is looked at, and from iteration 500 on the time in between is 1 % of the
    iterations so far: short runs learn from enough of them, long ones hardly pay for them.

    Args:
        num_parts: n.
        momentum: :math:`\beta` in [0, 1) of the running means; 0 takes the last comparison alone, 0.98 remembers about
            50, the default 1,000.
        interval: iterations >= 1 from one comparison to the next, in which the costs stay; ``None`` for the larger of 5
            and 1 % of the iterations so far.

    Raises:
        ValueError: a setting is out of its range.
    """

    def __init__(self, num_parts: int, momentum: float = 0.999, interval: Optional[int] = None) -> None:
        super().__init__(num_parts)
        self._check_momentum(momentum)
        self._require(interval is None or is_count(interval), 'interval', 'an integer >= 1 or None', interval)
        self.momentum = momentum
        self.interval = interval
        self.calls = StepCounter()

    def costs(
        self, losses: Tensor, base_weights: Tensor, weights: Tensor, shared: Shared, criterion: AskedCriterion = None
    ) -> Tensor:
        if self.training and torch.is_grad_enabled():
            if self.calls.value % self._interval_now() == 0:
                self._compare(losses, base_weights, weights.detach(), shared, criterion)
            self.calls.advance()
        return self._costs_now(base_weights)

    def _compare(
        self, losses: Tensor, base_weights: Tensor, weights: Tensor, shared: Shared, criterion: AskedCriterion
    ) -> None:
        """Remembers what this iteration tells; arguments as of :meth:`costs`."""
        raise NotImplementedError

    def _costs_now(self, base_weights: Tensor) -> Tensor:
        """Costs from what is remembered, ``(n,)``."""
        raise NotImplementedError

    def _interval_now(self) -> int:
        return max(FIRST_INTERVAL, self.calls.value // 100) if self.interval is None else self.interval


class HeldOutObjective(ComparingObjective):
    r"""Gives weight to parts that give the step a better direction for images that it was not made of.

    Liu & Lai, AAAI 2020, Eq. 1 asks for weights that are good on held-out data. A step of the detector goes along
    :math:`G = \sum_i g_i`, the sum of the weighted gradients of the parts, and its length is the optimizer's matter
    (Adam's does not depend on that of G at all). To first order a step of length 1 lowers the reference R on other
    images by :math:`\langle G, r \rangle / |G|`; the logarithm of the weight of part i changes that by

    .. math:: t_i = \langle g_i, r \rangle - \frac{\langle g_i, G \rangle}{|G|^2} \langle G, r \rangle, \qquad
              r \leftarrow \nabla R \text{ after that}

    up to a factor: what a part gives to the direction, less its share in the step. So :math:`\sum_i t_i = 0`, and a
    part whose gradient is large has no advantage of it. The reference r is that of the batch compared before, so no
    image is compared with itself. (A decayed trace of it lags behind the weights, which then swing.)

    Costs are running means m and v of :math:`t` and :math:`t^2`, over n comparisons at a time:

    .. math:: c_i = -\frac{k_i m_i}{W \max_j \sqrt{v_j}}, \qquad
              k_i = \max\left(0, 1 - \frac{v_i - m_i^2}{n m_i^2}\right)

    Divided by a root mean square, help that comes and goes with the batch counts for little. And what could be the
    noise of the mean does not count at all: k shrinks each of them as the positive-part estimator of James and Stein
    (1961). As :math:`|W c_i| \le 1`, an anchor :math:`\kappa` keeps each part within a factor
    :math:`e^{1 / \kappa}` of its share before normalisation: a signal that is wrong cannot make the weights collapse.

    The gradients are those of ``shared``, which the parts must have in common: at an output layer with rows of their
    own they have nothing to say to each other.

    Cost of a comparison: a backward pass of each part from the loss down to ``shared``; ``'criterion'`` adds that loss
    and its backward pass. All comparisons count about equally by default: what helps a step early on is not what helps
    it late, and neither alone is what helps the detector in the end; a shorter memory follows the one and then the
    other.

    Args:
        num_parts: n.
        reference: what R is: ``'criterion'`` for what the detector offers as a measure of its detections, which is
            1 less their :func:`~slf_mmdet.losses.soft_average_precision` for the YOLOv1 head and
            ``BalancedDetector``; ``'base'`` for the base-weighted sum of the parts.
        momentum: see :class:`ComparingObjective`; n is never more than :math:`(1 + \beta) / (1 - \beta)`.
        interval: see there.

    Raises:
        ValueError: a setting is out of its range.
    """

    name = 'heldout'
    needs_shared = True
    default_kl_weight = 0.3

    def __init__(
        self, num_parts: int, reference: str = 'criterion', momentum: float = 0.999, interval: Optional[int] = None
    ) -> None:
        super().__init__(num_parts, momentum, interval)
        choices = ('base', 'criterion')
        self._require(reference in choices, 'reference', f'one of {list(choices)}', reference)
        self.needs_criterion = reference == 'criterion'
        self.register_buffer('reference', torch.zeros(0))  # sized by the first gradient
        self.register_buffer('tilts', torch.zeros(num_parts))
        self.register_buffer('squares', torch.zeros(num_parts))
        self.reference: Tensor
        self.tilts: Tensor
        self.squares: Tensor
        self.compared = StepCounter()

    def _costs_now(self, base_weights: Tensor) -> Tensor:
        mean, square, number = self._running_means()
        noise = (square - mean.square()).clamp_min(0) / number
        kept = (1 - noise / positive(mean.square())).clamp_min(0)
        return -kept * mean / positive(base_weights.sum() * square.max().sqrt())

    def _running_means(self) -> Tuple[Tensor, Tensor, float]:
        """Of the tilts and their squares, without the zeros they began with; and of how many comparisons."""
        compared = max(self.compared.value, 1)
        weight = 1 - self.momentum**compared
        number = min(compared, (1 + self.momentum) / (1 - self.momentum))
        return self.tilts / weight, self.squares / weight, number

    def _compare(
        self, losses: Tensor, base_weights: Tensor, weights: Tensor, shared: Shared, criterion: AskedCriterion
    ) -> None:
        gradients = self._mean(part_gradients(losses, shared))
        if not self.needs_criterion:
            wanted = base_weights @ gradients
        elif criterion is None:
            raise ValueError(
                "objective 'heldout': reference='criterion' needs a detector that offers a measure of its "
                "detections, as YOLOV1Head and BalancedDetector do. Take reference='base' for others."
            )
        else:
            wanted = self._mean(part_gradients(criterion().unsqueeze(0), shared)[0])
        if len(self.reference) > 0:
            self.compared.advance()
        else:
            self.reference = torch.zeros_like(wanted)
        weights = self._mean(weights if weights.dim() == 1 else weights.mean(0))
        weighted = gradients * weights.unsqueeze(1)
        step = weighted.sum(0)
        helps = weighted @ self.reference
        tilts = helps - weighted @ step / positive(step.square().sum()) * helps.sum()
        finite = wanted.isfinite().all() & tilts.isfinite().all()  # one bad batch must not spoil what is remembered
        for mean, now in ((self.tilts, tilts), (self.squares, tilts.square())):
            mean.copy_(torch.where(finite, torch.lerp(now, mean, self.momentum), mean))
        self.reference.copy_(torch.where(finite, wanted, self.reference))

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args: object, **kwargs: object) -> None:
        saved = state_dict.get(f'{prefix}reference')
        if saved is not None:
            self.reference = self.reference.new_zeros(saved.shape)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


class DeltaAPObjective(ComparingObjective):
    r"""Gives weight to parts by the average precision that is lost with them.

    TIDE (Bolya et al., ECCV 2020) tells where a detector loses average precision by mending one kind of error at a
    time. Here it is one part at a time: with :math:`\Delta_i`, how much more average precision the detections of the
    batch would have if part i were solved (:meth:`~slf_mmdet.balancers.criterion.Criterion.gains`; on the mean of the
    comparisons so far, 0 where it is negative),

    .. math:: c_i = -\frac{\Delta_i}{W \max(\sum_j \Delta_j, 0.1)}.

    So gains that are no more than a tenth together are followed in part: at the very start a batch has no average
    precision to speak of, and a part that makes a hundredth of difference then is not what the detector lacks.

    This looks past the next step, and does not feed itself: a part of more weight is solved sooner, and then asks for
    less. What it cannot see is whether a part can be solved at all. As :math:`-1 \le W c_i \le 0`, an anchor
    :math:`\kappa` keeps each part within a factor :math:`e^{1 / \kappa}` of its share before normalisation.

    Cost of a comparison: for each part a backward pass from the loss to the output of the YOLOv1 head, or to the
    features of ``BalancedDetector``'s detector, and the detections that follow, non-maximum suppression included.

    Args:
        num_parts: n.
        momentum: see :class:`ComparingObjective`.
        interval: see there.

    Raises:
        ValueError: a setting is out of its range.
    """

    name = 'delta_ap'
    needs_criterion = True
    default_kl_weight = 1.0

    def __init__(self, num_parts: int, momentum: float = 0.999, interval: Optional[int] = None) -> None:
        super().__init__(num_parts, momentum, interval)
        self.register_buffer('gains', torch.zeros(num_parts))
        self.register_buffer('known', torch.zeros(()))  # what the running mean of ones is by now
        self.gains: Tensor
        self.known: Tensor

    def _compare(
        self, losses: Tensor, base_weights: Tensor, weights: Tensor, shared: Shared, criterion: AskedCriterion
    ) -> None:
        if not isinstance(criterion, Criterion):
            raise ValueError(
                "objective 'delta_ap' needs a detector that offers a measure of its detections, as YOLOV1Head and "
                f'BalancedDetector do, found {criterion!r}.'
            )
        now = self._mean(criterion.gains(losses).to(self.gains))
        finite = now.isfinite().all()  # one bad batch must not spoil what is remembered
        for mean, value in ((self.gains, now), (self.known, torch.ones_like(self.known))):
            mean.copy_(torch.where(finite, torch.lerp(value, mean, self.momentum), mean))

    def _costs_now(self, base_weights: Tensor) -> Tensor:
        gains = self.gains.clamp_min(0) / positive(self.known)
        return -gains / (base_weights.sum() * gains.sum().clamp_min(ENOUGH_TO_GAIN))


_KINDS: Sequence[Type[Objective]] = (
    JointObjective,
    NormalizedObjective,
    ImprovementObjective,
    HeldOutObjective,
    DeltaAPObjective,
)
OBJECTIVES = {kind.name: kind for kind in _KINDS}


def build_objective(cfg: Union[str, Dict[str, Any]], num_parts: int) -> Objective:
    """Makes an objective from its name, or from ``dict(type=name, ...)`` with its settings.

    Raises:
        ValueError: there is no such objective, or a setting is unknown or out of its range.
    """
    settings = dict(type=cfg) if isinstance(cfg, str) else dict(cfg)
    name = settings.pop('type', None)
    if name not in OBJECTIVES:
        raise ValueError(f'objective must be one of {list(OBJECTIVES)}, found {name!r}.')
    kind = OBJECTIVES[name]
    known = [key for key in inspect.signature(kind).parameters if key != 'num_parts']
    unknown = sorted(set(settings) - set(known))
    if unknown:
        raise ValueError(f'objective {name!r} has no setting {unknown}; it has {known}.')
    objective = kind(num_parts, **settings)
    objective.over_processes = True
    return objective
