"""Text files of sentences and translations, and the vocabulary that is trained on them."""

import pytest
from mmdet.registry import DATASETS

from slf_mmdet.datasets import BadDataError
from slf_mmdet.datasets.bpe import BOS, EOS, MIN_SIZE, PAD, load_bpe

pytest.importorskip('tokenizers', reason="needs tokenizers: pip install 'slf-mmdet[text]'")

WORDS = 'hund katze maus haus baum dog cat mouse house tree'


@pytest.fixture
def write(tmp_path):
    """Writes both files of a data set and returns its config."""

    def write(source, target):
        (tmp_path / 'a.de').write_text(source, encoding='utf-8')
        (tmp_path / 'a.en').write_text(target, encoding='utf-8')
        return dict(type='ParallelTextDataset', data_root=str(tmp_path), source_file='a.de', target_file='a.en')

    return write


@pytest.fixture
def vocabulary(tmp_path):
    (tmp_path / 'corpus').write_text(f'{WORDS}\n' * 20 + 'nur hier\n', encoding='utf-8')
    return dict(file=str(tmp_path / 'new' / 'bpe.json'), vocab_size=280, corpus=[str(tmp_path / 'corpus')])


def test_pairs_of_lines(write):
    # U+2028 separates lines for str.splitlines, not in a text file
    dataset = DATASETS.build(write('Ein Hund\n eine\u2028Katze \n', 'a dog\na cat'))
    assert len(dataset) == 2
    item = dataset[1]
    assert item['inputs'] == item['data_samples'].source == 'eine\u2028Katze'
    assert item['data_samples'].target == 'a cat'
    assert item['data_samples'].img_id == 'a.de:2'


def test_indices_take_the_first_pairs(write):
    dataset = DATASETS.build(dict(write('a\nb\nc\n', 'd\ne\nf\n'), indices=2))
    assert [item['inputs'] for item in dataset] == ['a', 'b']


def test_an_empty_sentence_is_an_error_that_names_file_and_line(write):
    with pytest.raises(BadDataError, match=r'both files:\n.*a\.de:2: the sentence is empty\n.*a\.en:3: the sentence'):
        DATASETS.build(write('a\n \nb\n', 'c\nd\n\n'))


def test_files_of_different_length_are_an_error_with_both_numbers(write):
    with pytest.raises(BadDataError, match=r'a\.de has 2 lines, but .*a\.en has 1:'):
        DATASETS.build(write('a\nb\n', 'c\n'))


def test_files_without_a_line_are_an_error(write):
    with pytest.raises(BadDataError, match='have no line'):
        DATASETS.build(write('', ''))


def test_a_missing_file_is_an_error(write, tmp_path):
    cfg = write('a', 'b')
    (tmp_path / 'a.en').unlink()
    with pytest.raises(FileNotFoundError, match=r'a\.en is missing.*data_root'):
        DATASETS.build(cfg)


def test_texts_survive_the_vocabulary(vocabulary):
    tokenizer = load_bpe(**vocabulary)
    for text in ('hund dog', 'neues wort', 'x', 'größe 😀 日本'):  # every byte is a token: nothing is unknown
        ids = tokenizer.encode(text).ids
        assert ids[-1] == EOS and not {PAD, BOS, EOS} & set(ids[:-1])
        assert tokenizer.decode(ids).strip() == text
    assert len(tokenizer.encode('katze').ids) < len('katze')  # merged
    assert tokenizer.encode('KATZE').ids == tokenizer.encode('katze').ids
    one, two = (encoding.ids for encoding in tokenizer.encode_batch(['hund', 'hund hund hund']))
    assert len(one) == len(two) and one[-1] == PAD


def test_case_is_kept_on_demand(vocabulary):
    tokenizer = load_bpe(**vocabulary, lowercase=False)
    assert tokenizer.decode(tokenizer.encode('Hund').ids).strip() == 'Hund'


def test_trained_once_and_always_alike(vocabulary, tmp_path):
    vocab = load_bpe(**vocabulary).get_vocab()
    assert [vocab[token] for token in ('<pad>', '<s>', '</s>')] == [PAD, BOS, EOS]
    assert load_bpe(**dict(vocabulary, file=str(tmp_path / 'again.json'))).get_vocab() == vocab
    (tmp_path / 'corpus').unlink()
    assert load_bpe(**vocabulary).get_vocab() == vocab  # from its file


def test_max_lines_limits_the_corpus(vocabulary, tmp_path):
    (tmp_path / 'corpus').write_text(f'{WORDS}\n' * 20 + 'qqq qqq\n' * 40, encoding='utf-8')
    merged = []
    for name, max_lines in (('some', 20), ('all', None)):
        tokens = load_bpe(**dict(vocabulary, file=str(tmp_path / name)), max_lines=max_lines).get_vocab()
        merged.append(any('qq' in token for token in tokens))
    assert merged == [False, True]


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        (dict(vocab_size=MIN_SIZE - 1), rf'vocab_size must be an integer >= {MIN_SIZE}, found {MIN_SIZE - 1}.*bytes'),
        (dict(vocab_size=None), 'vocab_size must be an integer'),
        (dict(max_lines=0), 'max_lines must be None or an integer >= 1, found 0'),
        (
            dict(vocab_size=5000),
            r'21 lines has only (\d+) different tokens, but vocab_size is 5000. Set vocab_size=\1',
        ),
    ],
    ids=str,
)
def test_wrong_settings_of_the_vocabulary(vocabulary, wrong, message):
    with pytest.raises(ValueError, match=message):
        load_bpe(**{**vocabulary, **wrong})


def test_a_file_of_another_size_is_an_error(vocabulary):
    load_bpe(**vocabulary)
    with pytest.raises(ValueError, match=r'bpe\.json has 280 tokens, but vocab_size is 281'):
        load_bpe(**dict(vocabulary, vocab_size=281))


def test_without_the_package_the_error_has_the_command(vocabulary, monkeypatch):
    monkeypatch.setitem(__import__('sys').modules, 'tokenizers', None)
    with pytest.raises(ImportError, match=r"pip install 'slf-mmdet\[text\]'"):
        load_bpe(**vocabulary)
