"""BLEU (Papineni et al., ACL 2002) as sacrebleu computes it: of a test set, and of token ids as a reward."""

from typing import TYPE_CHECKING, Any, Dict, List, Sequence

import torch
from mmdet.registry import METRICS
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from torch import Tensor

from ..datasets.bpe import EOS, PAD
from ..utils.optional import needs
from .no_results import require_results

if TYPE_CHECKING:
    from sacrebleu.metrics import BLEU


@METRICS.register_module()
class BLEUMetric(BaseMetric):
    """BLEU in percent of all translations, whose signature is logged: figures compare only where it is the same.

    Args:
        lowercase: whether case is ignored.
        tokenize: sacrebleu's tokenizer of translations and references, plain texts both; ``'13a'`` is WMT's.
        kwargs: of mmengine's ``BaseMetric``.

    Raises:
        ModuleNotFoundError: sacrebleu is not installed.
    """

    default_prefix = ''

    def __init__(self, lowercase: bool = False, tokenize: str = '13a', **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.bleu = _sacrebleu(lowercase=lowercase, tokenize=tokenize)

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Collects ``prediction`` and ``target`` of each sample, texts."""
        self.results += [(sample['prediction'], sample['target']) for sample in data_samples]

    def compute_metrics(self, results: List[tuple]) -> Dict[str, float]:
        """``dict(BLEU=percent)``."""
        require_results(self, results)
        predictions, targets = zip(*results)
        score = self.bleu.corpus_score(predictions, [targets])
        print_log(f'{score} {self.bleu.get_signature()}', logger='current')
        return dict(BLEU=score.score)


def sentence_bleu(hypotheses: Tensor, references: Tensor) -> Tensor:
    """BLEU of each sequence of tokens, in [0, 1].

    To the counts of n-grams of 2 to 4 tokens 1 is added, found and right ones both (Lin and Och, COLING 2004), as a
    single sentence often has none in common with its reference.

    Args:
        hypotheses: ids ``(N, T)``; a sequence ends before its first end-of-sentence or padding token.
        references: ids ``(N, R)``.

    Returns:
        ``(N,)`` on the device of the hypotheses.

    Examples:
        >>> sentence_bleu(torch.tensor([[5, 6, 7, 8, 2]]), torch.tensor([[5, 6, 7, 8, 2]]))
        tensor([1.])
    """
    bleu = _reward()
    scores = [_score(bleu, *pair) for pair in zip(_texts(hypotheses), _texts(references))]
    return torch.tensor(scores, device=hypotheses.device)


def prefix_bleu(hypotheses: Tensor, references: Tensor) -> Tensor:
    """BLEU of the first 1, 2, ..., T tokens of each sequence, ``(N, T)``; arguments as in :func:`sentence_bleu`."""
    bleu = _reward()
    rows = []
    for hypothesis, reference in zip(_texts(hypotheses), _texts(references)):
        scores = [_score(bleu, hypothesis[: end + 1], reference) for end in range(len(hypothesis))]
        last = scores[-1] if scores else 0.0
        rows.append(scores + [last] * (hypotheses.shape[1] - len(scores)))
    return torch.tensor(rows, device=hypotheses.device).view(hypotheses.shape)


def _score(bleu: 'BLEU', hypothesis: Sequence[str], reference: Sequence[str]) -> float:
    return bleu.sentence_score(' '.join(hypothesis), [' '.join(reference)]).score / 100


def _texts(tokens: Tensor) -> List[List[str]]:
    """The tokens of each sequence as words, up to its end."""
    ended = ((tokens == EOS) | (tokens == PAD)).cumsum(1) > 0
    lengths = (~ended).sum(1).tolist()
    return [[str(token) for token in row[:length]] for row, length in zip(tokens.tolist(), lengths)]


def _reward() -> 'BLEU':
    return _sacrebleu(tokenize='none', smooth_method='add-k', smooth_value=1, effective_order=True)


def _sacrebleu(**settings: Any) -> 'BLEU':
    with needs('BLEU', 'sacrebleu', 'text'):
        from sacrebleu.metrics import BLEU
    return BLEU(**settings)
