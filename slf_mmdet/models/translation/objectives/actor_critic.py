"""Actor and critic (Bahdanau et al., ICLR 2017)."""

from typing import Any, Dict

import torch
from mmdet.registry import MODELS
from mmdet.utils import ConfigType
from mmengine.model import ExponentialMovingAverage
from torch import Tensor

from ....datasets.bpe import PAD
from ....evaluation import prefix_bleu
from ....losses import critic_loss, critic_targets, expected_value
from ....utils.checks import is_count, is_number, require
from ..search import evaluating, sample
from ..seq2seq import Seq2Seq
from .sampled import SampledLoss


@MODELS.register_module()
class ActorCritic(SampledLoss):
    r"""The network is led by a critic, which reads the reference and values every next token of what is drawn.

    Algorithm 1 of the paper: sentences are drawn from a delayed copy of the network, the actor; token t is rewarded
    with what it adds to the BLEU of the prefix. The critic is trained towards the reward plus the expected value of
    what follows, both of delayed copies; the actor towards the tokens that the critic values. A small weight of the
    loss of tokens keeps it near the reference.

    In the last ``critic_iters`` iterations of the warm-up the critic is trained, too; the paper keeps the actor fixed
    meanwhile.

    Args:
        network, loss, warmup_iters, max_length: see :class:`SampledLoss`.
        critic: a :class:`~slf_mmdet.models.translation.Seq2Seq`, which encodes the reference; ``vocab_size`` is filled
            in.
        critic_iters: from 0 to ``warmup_iters``.
        token_weight: of the loss of tokens after the warm-up, >= 0.
        variance_weight: see :func:`~slf_mmdet.losses.critic_loss`, >= 0.
        momentum: of the delayed copies, in (0, 0.5]: the share of the new parameters in each iteration.

    Raises:
        ValueError: a setting is out of its range.
    """

    def __init__(
        self,
        network: Seq2Seq,
        critic: ConfigType,
        warmup_iters: int = 0,
        critic_iters: int = 0,
        max_length: int = 60,
        token_weight: float = 0.1,
        variance_weight: float = 1e-3,
        momentum: float = 1e-3,
        **kwargs: Any,
    ) -> None:
        super().__init__(network, warmup_iters, max_length, **kwargs)
        owner = type(self).__name__
        right = is_count(critic_iters, 0) and critic_iters <= warmup_iters
        require(right, owner, 'critic_iters', f'an integer from 0 to warmup_iters={warmup_iters}', critic_iters)
        require(is_number(token_weight, 0), owner, 'token_weight', 'a finite number >= 0', token_weight)
        require(is_number(variance_weight, 0), owner, 'variance_weight', 'a finite number >= 0', variance_weight)
        require(is_number(momentum, 0, 0.5) and momentum > 0, owner, 'momentum', 'in (0, 0.5]', momentum)
        self.critic_iters = critic_iters
        self.token_weight = float(token_weight)
        self.variance_weight = float(variance_weight)
        self.critic: Seq2Seq = MODELS.build(critic, default_args=dict(vocab_size=network.vocab_size))
        # They copy what they follow when they are updated first
        self.delayed_actor = ExponentialMovingAverage(network, momentum)
        self.delayed_critic = ExponentialMovingAverage(self.critic, momentum)

    def forward(self, network: Seq2Seq, source: Tensor, target: Tensor) -> Dict[str, Tensor]:
        """``loss_token``, ``loss_critic``, ``loss_actor``, and the mean ``reward``; see :class:`SequenceLoss`.

        The last two losses are means over the tokens drawn.
        """
        step = self._next_step() - self.warmup_iters
        losses = super().forward(network, source, target)
        if step < -self.critic_iters:
            return losses
        if self.training:
            self.delayed_actor.update_parameters(network)
            self.delayed_critic.update_parameters(self.critic)
        actor, critic = self.delayed_actor.module, self.delayed_critic.module
        tokens = sample(actor, source, self.max_length)
        real = tokens != PAD
        bleu = prefix_bleu(tokens, target)
        rewards = bleu.diff(dim=1, prepend=bleu.new_zeros(len(bleu), 1))
        with torch.no_grad(), evaluating(actor), evaluating(critic):
            log_probs = actor.log_probs(actor(source, tokens))
            targets = critic_targets(rewards, log_probs, critic.output(critic(target, tokens)), real)
        values = self.critic.output(self.critic(target, tokens))
        losses['loss_critic'] = critic_loss(values, tokens, targets, self.variance_weight)[real].mean()
        losses['reward'] = bleu[:, -1].mean()
        if step >= 0:
            log_probs = network.log_probs(network(source, tokens))
            losses['loss_actor'] = expected_value(log_probs, values)[real].mean()
            losses['loss_token'] = self.token_weight * losses['loss_token']
        return losses
