"""Translation: networks on torch's own layers, losses of sequences, beam search; the paper's Table 4."""

from .lstm import LSTMSeq2Seq
from .objectives import ActorCritic, Mixer, SequenceLoss, SequenceSoftmaxMargin, TeacherForcing
from .preprocessor import TranslationPreprocessor
from .search import beam_search, sample
from .seq2seq import Seq2Seq
from .transformer import TransformerSeq2Seq
from .translator import Translator

__all__ = [
    'ActorCritic',
    'LSTMSeq2Seq',
    'Mixer',
    'Seq2Seq',
    'SequenceLoss',
    'SequenceSoftmaxMargin',
    'TeacherForcing',
    'TransformerSeq2Seq',
    'TranslationPreprocessor',
    'Translator',
    'beam_search',
    'sample',
]
