r"""What the decision network itself minimises.

Each objective turns a sample of the decision network into a :class:`Weighing`: weights for the detector and, where the
decision network follows another goal than the detector, a penalty that carries its gradient.
"""

from torch import Tensor

from .base import Weighing


def joint(weights: Tensor) -> Weighing:
    r"""Algorithm 1 of Liu & Lai, AAAI 2020: detector and decision network minimise the same weighted training loss.

    With :math:`p = softmax(\mu)` its gradient is :math:`p_i (\ell_i - \sum_j p_j \ell_j)`: without an anchor all
    weight ends on the part that happens to be smallest, and the other parts are no longer trained.

    Args:
        weights: sampled weights ``(N, n)``, with the gradient of the decision network.
    """
    return Weighing(weights)


OBJECTIVES = {'joint': joint}
