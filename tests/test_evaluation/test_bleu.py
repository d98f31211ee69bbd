"""BLEU: of a test set as sacrebleu prints it, of token ids as counted by hand."""

import logging
import math
from collections import Counter

import pytest
import torch
from mmdet.registry import METRICS
from mmengine.logging import MMLogger

from slf_mmdet.evaluation import prefix_bleu, sentence_bleu

sacrebleu = pytest.importorskip('sacrebleu', reason="needs sacrebleu: pip install 'slf-mmdet[text]'")

REFERENCES = ['A dog runs .', 'two men sit on a bench .']
PREDICTIONS = ['a dog is running .', 'Two men sit on the bench .']


def evaluate(predictions, **settings):
    metric = METRICS.build(dict(type='BLEUMetric', **settings))
    samples = [dict(prediction=one, target=other) for one, other in zip(predictions, REFERENCES)]
    metric.process(None, samples[:1])
    metric.process(None, samples[1:])
    return metric.evaluate(len(samples))


@pytest.mark.parametrize('lowercase', [False, True])
def test_equals_sacrebleu(lowercase):
    expected = sacrebleu.corpus_bleu(PREDICTIONS, [REFERENCES], lowercase=lowercase).score
    assert evaluate(PREDICTIONS, lowercase=lowercase)['BLEU'] == pytest.approx(expected)


def test_by_hand():
    # 11 of 11 words, 9 of 9 pairs, 7 of 7, 5 of 5
    assert evaluate(REFERENCES)['BLEU'] == pytest.approx(100)
    # "a dog is running ." and "two men sit on the bench .", lower case, against 4 + 7 words. Words: 3 of 5 and 6 of 7;
    # pairs: 1 of 4 and 4 of 6; threes: 0 of 3 and 2 of 5; fours: 0 of 2 and 1 of 4. 12 words for 11: no penalty
    expected = 100 * (9 / 12 * 5 / 10 * 2 / 8 * 1 / 6) ** 0.25
    assert evaluate(PREDICTIONS, lowercase=True)['BLEU'] == pytest.approx(expected)


def test_the_signature_is_logged():
    lines = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    logger = MMLogger.get_current_instance()
    logger.addHandler(handler)
    try:
        evaluate(PREDICTIONS, lowercase=True)
    finally:
        logger.removeHandler(handler)
    assert any('nrefs:1|case:lc|eff:no|tok:13a|smooth:exp|version:' in line for line in lines)


def smoothed_bleu(hypothesis, reference):
    """With 1 added to the counts of n-grams of 2 to 4 tokens: 1 / 1 where the hypothesis is too short for an order."""
    logs = []
    for order in range(1, 5):
        found, right = (
            Counter(tuple(tokens[i : i + order]) for i in range(len(tokens) - order + 1))
            for tokens in (hypothesis, reference)
        )
        hits, add = sum((found & right).values()), int(order > 1)
        if not hits and order == 1:
            return 0.0
        logs.append(math.log((hits + add) / (sum(found.values()) + add)))
    return min(1.0, math.exp(1 - len(reference) / len(hypothesis))) * math.exp(sum(logs) / len(logs))


def test_sentence_bleu_is_the_smoothed_one():
    generator = torch.Generator().manual_seed(0)
    hypotheses, references = (torch.randint(3, 7, (40, 6), generator=generator) for _ in range(2))
    ends = torch.randint(1, 6, (2, 40), generator=generator)
    for tokens, end in zip((hypotheses, references), ends):
        for row, last in zip(tokens, end):
            row[last], row[last + 1 :] = 2, 0
    hypotheses[0] = torch.tensor([2, 0, 0, 0, 0, 0])
    expected = [
        smoothed_bleu(one[: one.index(2)], other[: other.index(2)])
        for one, other in zip(hypotheses.tolist(), references.tolist())
    ]
    torch.testing.assert_close(sentence_bleu(hypotheses, references), torch.tensor(expected), rtol=1e-5, atol=1e-6)
    assert 0 < sum(value > 0 for value in expected) < 40


def test_prefixes_are_sentences_of_their_own():
    hypotheses = torch.tensor([[3, 4, 5, 6, 2], [4, 4, 2, 0, 0], [2, 0, 0, 0, 0]])
    references = torch.tensor([[3, 4, 6, 2], [4, 2, 0, 0], [3, 2, 0, 0]])
    found = prefix_bleu(hypotheses, references)
    expected = torch.stack([sentence_bleu(hypotheses[:, : end + 1], references) for end in range(5)], dim=1)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(found[:, -1], sentence_bleu(hypotheses, references))


def test_without_the_package_the_error_has_the_command(monkeypatch):
    monkeypatch.setitem(__import__('sys').modules, 'sacrebleu.metrics', None)
    with pytest.raises(ImportError, match=r"pip install 'slf-mmdet\[text\]'"):
        METRICS.build(dict(type='BLEUMetric'))
