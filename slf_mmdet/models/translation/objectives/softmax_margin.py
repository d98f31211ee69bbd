"""Softmax-margin over candidate translations (Edunov et al., NAACL 2018)."""

from typing import Any, Dict

from mmdet.registry import MODELS
from torch import Tensor

from ....datasets.bpe import PAD
from ....evaluation import sentence_bleu
from ....losses import softmax_margin
from ....utils.checks import is_count, is_number, require
from ..search import sample
from ..seq2seq import Seq2Seq
from .sampled import SampledLoss, chosen


@MODELS.register_module()
class SequenceSoftmaxMargin(SampledLoss):
    r"""Of several translations drawn for a sentence, the one nearest to the reference is to be the most probable.

    :func:`~slf_mmdet.losses.softmax_margin` with the scores :math:`\log p(u \mid x)` of the candidates u, the costs
    :math:`m (\mathrm{BLEU}(u^*) - \mathrm{BLEU}(u))`, and the candidate :math:`u^*` with the highest BLEU as the right
    choice; beside it, the loss of the reference's tokens.

    Args:
        network, loss, warmup_iters, max_length: see :class:`SampledLoss`.
        num_samples: candidates of a sentence, >= 2.
        margin: m >= 0, the scale of the costs.
        token_weight: of the loss of tokens after the warm-up, >= 0.

    Raises:
        ValueError: a setting is out of its range.
    """

    def __init__(
        self,
        network: Seq2Seq,
        num_samples: int = 5,
        margin: float = 1.0,
        token_weight: float = 1.0,
        warmup_iters: int = 0,
        max_length: int = 60,
        **kwargs: Any,
    ) -> None:
        super().__init__(network, warmup_iters, max_length, **kwargs)
        owner = type(self).__name__
        require(is_count(num_samples, 2), owner, 'num_samples', 'an integer >= 2', num_samples)
        require(is_number(margin, 0), owner, 'margin', 'a finite number >= 0', margin)
        require(is_number(token_weight, 0), owner, 'token_weight', 'a finite number >= 0', token_weight)
        self.num_samples = num_samples
        self.margin = float(margin)
        self.token_weight = float(token_weight)

    def forward(self, network: Seq2Seq, source: Tensor, target: Tensor) -> Dict[str, Tensor]:
        """``loss_token``, ``loss_margin``, the mean over the sentences, and ``reward``; see :class:`SequenceLoss`."""
        step = self._next_step() - self.warmup_iters
        losses = super().forward(network, source, target)
        if step < 0:
            return losses
        sources, targets = (each.repeat_interleave(self.num_samples, dim=0) for each in (source, target))
        tokens = sample(network, sources, self.max_length)
        log_probs = chosen(network.log_probs(network(sources, tokens)), tokens)
        scores = log_probs.masked_fill(tokens == PAD, 0).sum(1).view(-1, self.num_samples)
        bleu = sentence_bleu(tokens, targets).view(-1, self.num_samples)
        best, right = bleu.max(1, keepdim=True)
        margins = softmax_margin(scores, self.margin * (best - bleu), right.squeeze(1))
        return dict(
            losses,
            loss_token=self.token_weight * losses['loss_token'],
            loss_margin=margins.mean(),
            reward=bleu.mean(),
        )
