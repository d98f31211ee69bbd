"""The model as the runner calls it: texts in, losses or texts out."""

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.structures import BaseDataElement

from slf_mmdet.datasets.bpe import EOS, PAD
from slf_mmdet.models.translation import beam_search

from .toy import all_translations

pytest.importorskip('tokenizers', reason="needs tokenizers: pip install 'slf-mmdet[text]'")

SENTENCES = ['ein hund', 'eine katze im haus']


@pytest.fixture
def cfg(tmp_path):
    (tmp_path / 'corpus').write_text('ein hund\neine katze im haus\na dog\na cat in a house\n' * 5, encoding='utf-8')
    vocabulary = dict(file=str(tmp_path / 'bpe.json'), vocab_size=270, corpus=[str(tmp_path / 'corpus')])
    return dict(
        type='Translator',
        network=dict(type='LSTMSeq2Seq', embed_dims=8, hidden_dims=8),
        data_preprocessor=dict(type='TranslationPreprocessor', vocabulary=vocabulary),
        max_length=5,
    )


@pytest.fixture
def model(cfg):
    torch.manual_seed(0)
    return MODELS.build(cfg)


def batch(**data):
    samples = [BaseDataElement(metainfo=dict(img_id=str(i)), **data) for i in range(2)]
    return dict(inputs=list(SENTENCES), data_samples=samples)


def test_a_batch_is_padded_and_has_its_targets(model):
    data = model.data_preprocessor(batch(target='a dog'))
    lengths = (data['inputs'] != PAD).sum(1)
    assert data['inputs'].shape == (2, int(lengths.max())) and lengths[0] < lengths[1]
    assert all(row[length - 1] == EOS for row, length in zip(data['inputs'], lengths))
    assert model.data_preprocessor.decode(data['targets']) == ['a dog', 'a dog']
    assert 'targets' not in model.data_preprocessor(batch())


def test_predicts_what_beam_search_finds(model):
    data = model.data_preprocessor(batch(target='a dog'))
    samples = model.eval()(**data, mode='predict')
    tokens = beam_search(model.network, data['inputs'], 5, 5)
    assert [sample.prediction for sample in samples] == model.data_preprocessor.decode(tokens)
    assert [sample.prediction for sample in model(data['inputs'], mode='predict')] == [s.prediction for s in samples]
    model.train()
    assert model.translate(SENTENCES) == [sample.prediction for sample in samples]
    assert model.training


def test_the_score_of_a_translation_is_its_tensor(model):
    data = model.data_preprocessor(batch(target='a dog'))
    kept = data['targets'] != PAD
    model.eval()
    logits = model(**data, mode='tensor')
    assert logits.shape == (*data['targets'].shape, 270)
    expected = torch.nn.functional.cross_entropy(logits[kept], data['targets'][kept])
    torch.testing.assert_close(model(**data, mode='loss')['loss_token'], expected)


@pytest.mark.parametrize('mode', ['loss', 'tensor'])
def test_without_targets_there_is_no_loss(model, mode):
    with pytest.raises(ValueError, match=f"mode='{mode}' needs targets"):
        model(**model.data_preprocessor(batch()), mode=mode)


def test_an_empty_sentence_is_an_error(model):
    with pytest.raises(ValueError, match=r'the sentences \[1\] of a batch of 2 are empty'):
        model.translate(['ein hund', '  '])


def test_a_checkpoint_of_another_vocabulary_is_an_error(model, cfg, tmp_path):
    (tmp_path / 'corpus').write_text('ganz andere woerter stehen hier\n' * 5, encoding='utf-8')
    cfg['data_preprocessor']['vocabulary']['file'] = str(tmp_path / 'other.json')
    other = MODELS.build(cfg)
    with pytest.raises(ValueError, match=r'another vocabulary than that of .*other\.json, of 270 tokens'):
        other.load_state_dict(model.state_dict())
    state = model.state_dict()
    del state['data_preprocessor.vocabulary_digest']  # weights from elsewhere, which do not say
    other.load_state_dict(state, strict=False)
    assert torch.equal(other.network.output.bias, model.network.output.bias)


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        (
            dict(data_preprocessor=None),
            'the size of the vocabulary is unknown: data_preprocessor must .* found None',
        ),
        (dict(beam_size=0), 'beam_size must be an integer >= 1, found 0'),
        (dict(max_length=0), 'max_length must be an integer >= 1, found 0'),
        (dict(length_penalty=-1), 'length_penalty must be a finite number >= 0, found -1'),
    ],
    ids=str,
)
def test_wrong_settings(cfg, wrong, message):
    with pytest.raises((TypeError, ValueError), match=message):
        MODELS.build({**cfg, **wrong})


def test_modes_have_names(model):
    with pytest.raises(ValueError, match="mode must be one of .* found 'translate'"):
        model(torch.ones(1, 1), mode='translate')


def test_the_toy_of_these_tests_is_complete():
    # 1 + 2 + 4 sentences that end within three tokens, and 8 that are cut
    assert len(all_translations(3)) == 7 and len(all_translations(3, cut=True)) == 15
