"""MIXER, and REINFORCE as its special case (Ranzato et al., ICLR 2016)."""

from typing import Any, Dict

import torch
from mmdet.registry import MODELS
from torch import Tensor, nn

from ....datasets.bpe import PAD
from ....evaluation import sentence_bleu
from ....losses import reinforce
from ....utils.checks import is_count, require
from ..search import sample
from ..seq2seq import Seq2Seq
from .sampled import SampledLoss, chosen


@MODELS.register_module()
class Mixer(SampledLoss):
    r"""The first tokens are learnt from the reference, the last ones by REINFORCE with BLEU as the reward.

    After ``warmup_iters`` of teacher forcing, the last :math:`\Delta` tokens of each reference are left to the network,
    which draws them up to its end of the sentence; every ``interval`` iterations :math:`\Delta` more, until it draws
    whole sentences. The baseline is a linear function of the feature of each token, trained by its squared error; no
    gradient of it goes to the network. The paper counts from a fixed length of unrolling, this from the end of each
    reference.

    With ``delta`` of at least ``max_length`` this is REINFORCE after the warm-up.

    Args:
        network, loss, warmup_iters, max_length: see :class:`SampledLoss`.
        delta: :math:`\Delta \ge 1`.
        interval: iterations >= 1 between its steps.

    Raises:
        ValueError: a setting is out of its range.
    """

    def __init__(
        self,
        network: Seq2Seq,
        delta: int,
        interval: int = 1,
        warmup_iters: int = 0,
        max_length: int = 60,
        **kwargs: Any,
    ) -> None:
        super().__init__(network, warmup_iters, max_length, **kwargs)
        require(is_count(delta), type(self).__name__, 'delta', 'an integer >= 1', delta)
        require(is_count(interval), type(self).__name__, 'interval', 'an integer >= 1', interval)
        self.delta = delta
        self.interval = interval
        self.baseline = nn.Linear(network.embed_dims, 1)

    def forward(self, network: Seq2Seq, source: Tensor, target: Tensor) -> Dict[str, Tensor]:
        """``loss_token``, ``loss_reinforce``, ``loss_baseline``, and the mean ``reward``; see :class:`SequenceLoss`.

        The first two are sums over their tokens, divided by the number of all tokens.
        """
        step = self._next_step() - self.warmup_iters
        if step < 0:
            return super().forward(network, source, target)
        free = self.delta * (1 + step // self.interval)
        forced = ((target != PAD).sum(1) - free).clamp_min(0)
        tokens = sample(network, source, self.max_length, target, forced)
        rewards = sentence_bleu(tokens, target)

        real = tokens != PAD
        is_forced = torch.arange(tokens.shape[1], device=tokens.device) < forced.unsqueeze(1)
        drawn = real & ~is_forced
        features = network(source, tokens)
        losses = self._of_tokens(network, features, tokens, real & is_forced)
        log_probs = chosen(network.log_probs(features[drawn]), tokens[drawn])
        reward = rewards.unsqueeze(1).expand_as(tokens)[drawn]
        baselines = self.baseline(features[drawn].detach()).squeeze(1)
        count = real.sum()
        return dict(
            losses,
            loss_token=losses['loss_token'] * (real & is_forced).sum() / count,
            loss_reinforce=reinforce(log_probs, reward, baselines).sum() / count,
            loss_baseline=(baselines - reward).square().sum() / count,
            reward=rewards.mean(),
        )
