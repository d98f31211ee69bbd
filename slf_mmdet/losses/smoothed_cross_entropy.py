"""Cross-entropy of exclusive classes with torch's label smoothing."""

from typing import Optional

import torch.nn.functional as F
from mmdet.registry import MODELS
from torch import Tensor

from ..utils.checks import is_number, require
from .base import ReducedLoss
from .class_scores import exclusive_target


@MODELS.register_module()
class SmoothedCrossEntropyLoss(ReducedLoss):
    r"""torch's cross-entropy, :math:`-\sum_c q_c \log p_c` with :math:`q = (1 - \epsilon) y + \epsilon / C`.

    Label smoothing is that of Szegedy et al. (CVPR 2016), which translation takes as in Vaswani et al. (NeurIPS 2017,
    section 5.4).

    Args:
        label_smoothing: :math:`\epsilon` in [0, 1).
        reduction, loss_weight: see :class:`~slf_mmdet.losses.base.ReducedLoss`.

    Raises:
        ValueError: ``label_smoothing`` is out of its range.
    """

    def __init__(self, label_smoothing: float = 0.0, reduction: str = 'mean', loss_weight: float = 1.0) -> None:
        super().__init__(reduction, loss_weight)
        right = is_number(label_smoothing, 0, 1) and label_smoothing < 1
        require(right, type(self).__name__, 'label_smoothing', 'in [0, 1)', label_smoothing)
        self.label_smoothing = float(label_smoothing)

    def unreduced(self, pred: Tensor, target: Tensor, weight: Optional[Tensor]) -> Tensor:
        target = exclusive_target(target, pred)
        return F.cross_entropy(pred, target, reduction='none', label_smoothing=self.label_smoothing)
