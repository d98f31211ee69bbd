"""Losses of sequences: what is compared with the reference, given the network. One file each."""

from .actor_critic import ActorCritic
from .base import SequenceLoss
from .mixer import Mixer
from .softmax_margin import SequenceSoftmaxMargin
from .teacher_forcing import TeacherForcing

__all__ = ['ActorCritic', 'Mixer', 'SequenceLoss', 'SequenceSoftmaxMargin', 'TeacherForcing']
