"""What the decision network minimises: a cost of each part, without a unit, and linear in the weights."""

from typing import Any, Dict, Sequence, Type, Union

import torch
from torch import Tensor, nn

from .checks import is_number
from .part_gradients import part_gradients
from .processes import mean_over_processes

Shared = Union[Tensor, Sequence[Tensor], None]


class Objective(nn.Module):
    r"""Goal :math:`\sum_i w_i c_i` of the decision network; a subclass says what a part costs.

    Costs are constants: no gradient flows through them into the detector. They have no unit and are about
    :math:`1 / W` each, so that an anchor of the weights means the same for every objective. All that is remembered is a
    buffer.

    Attributes:
        needs_shared: whether :meth:`costs` differentiates the parts.
        over_processes: whether what is compared are means over the processes, each of which must then call
            :meth:`costs` in every training step.
    """

    needs_shared = False
    over_processes = False

    def costs(self, losses: Tensor, base_weights: Tensor, shared: Shared) -> Tensor:
        """Costs of the parts.

        Args:
            losses: unweighted parts ``(n,)`` or ``(N, n)``, with their graph.
            base_weights: ``(n,)``.
            shared: what all parts depend on, where ``needs_shared``.

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

    def costs(self, losses: Tensor, base_weights: Tensor, shared: Shared) -> Tensor:
        losses = losses.detach()
        return losses / _positive(self._mean((base_weights * losses).sum(-1).mean()))


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

    def costs(self, losses: Tensor, base_weights: Tensor, shared: Shared) -> Tensor:
        losses = losses.detach()
        return losses / _positive(base_weights.sum() * self._update(losses))

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

    def costs(self, losses: Tensor, base_weights: Tensor, shared: Shared) -> Tensor:
        losses = losses.detach()
        return (_positive(self._update(losses)) / _positive(losses)).log() / base_weights.sum()


class HeldOutObjective(Objective):
    r"""Gives weight to parts whose training helps images that they were not trained on.

    Liu & Lai, AAAI 2020, Eq. 1 asks for weights that are good on held-out data. To first order, a step on part i lowers
    the base-weighted loss of other images by the inner product of the two gradients:

    .. math:: h_i \leftarrow \beta h_i + (1 - \beta) \langle \nabla \ell_i, r \rangle, \qquad
              c_i = -h_i / \sum_j \lambda_j |h_j|, \qquad
              r \leftarrow \beta r + (1 - \beta) \sum_j \lambda_j \nabla \ell_j \text{ after that}

    The gradients are taken at the last shared layer. The reference r holds the batches before this one, so no image is
    compared with itself; :math:`\beta` is the horizon, as the trace of online hypergradient methods.

    Cost: one backward pass of each part from the loss down to ``shared``, every ``interval`` iterations.

    Args:
        num_parts: n.
        momentum: :math:`\beta` in [0, 1); 0 compares this batch with the one before it, and nothing else.
        interval: iterations >= 1 from one comparison to the next; the costs stay in between.
    """

    needs_shared = True

    def __init__(self, num_parts: int, momentum: float = 0.95, interval: int = 1) -> None:
        super().__init__()
        self.momentum = momentum
        self.interval = interval
        self.register_buffer('reference', torch.zeros(0))  # sized by the first gradient
        self.register_buffer('helps', torch.zeros(num_parts))
        self.register_buffer('calls', torch.zeros((), dtype=torch.long))
        self.reference: Tensor
        self.helps: Tensor
        self.calls: Tensor
        self._calls = 0  # mirror of the buffer that costs no synchronisation

    def costs(self, losses: Tensor, base_weights: Tensor, shared: Shared) -> Tensor:
        if self.training and torch.is_grad_enabled():
            if self._calls % self.interval == 0:
                self._compare(self._mean(part_gradients(losses, shared)), base_weights)
            self._calls += 1
            self.calls += 1
        return -self.helps / _positive((base_weights * self.helps.abs()).sum())

    def _compare(self, gradients: Tensor, base_weights: Tensor) -> None:
        if len(self.reference) == 0:
            self.reference = torch.zeros_like(gradients[0])
        helps = torch.lerp(gradients @ self.reference, self.helps, self.momentum)
        reference = torch.lerp((base_weights.unsqueeze(1) * gradients).sum(0), self.reference, self.momentum)
        finite = gradients.isfinite().all()  # one bad batch must not spoil what is remembered
        self.helps.copy_(torch.where(finite, helps, self.helps))
        self.reference.copy_(torch.where(finite, reference, self.reference))

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args: object, **kwargs: object) -> None:
        saved = state_dict.get(f'{prefix}reference')
        if saved is not None:
            self.reference = self.reference.new_zeros(saved.shape)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
        self._calls = int(self.calls)


def _positive(value: Tensor) -> Tensor:
    return value.clamp_min(torch.finfo(value.dtype).tiny)


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
    known = dict(joint=(), heldout=('momentum', 'interval')).get(name, ('momentum',))
    unknown = sorted(set(settings) - set(known))
    if unknown:
        raise ValueError(f'objective {name!r} has no setting {unknown}; it has {list(known)}.')
    momentum: Any = settings.get('momentum', 0.5)
    interval: Any = settings.get('interval', 1)
    if not (is_number(momentum, 0) and momentum < 1):
        raise ValueError(f'objective {name!r}: momentum must be in [0, 1), found {momentum!r}.')
    if not (isinstance(interval, int) and interval >= 1):
        raise ValueError(f'objective {name!r}: interval must be an integer >= 1, found {interval!r}.')
    objective = JointObjective() if name == 'joint' else OBJECTIVES[name](num_parts, **settings)
    objective.over_processes = True
    return objective
