"""A vocabulary of subwords by byte pair encoding (Sennrich et al., ACL 2016), trained once and kept in a file."""

from pathlib import Path
from typing import TYPE_CHECKING, Optional, Sequence

from filelock import FileLock

from ..utils.checks import is_count, require
from ..utils.files import whole_file
from ..utils.optional import needs
from .parallel_text import read_sentences

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SPECIAL = ('<pad>', '<s>', '</s>')
PAD, BOS, EOS = range(3)
MIN_SIZE = 256 + len(SPECIAL)  # every byte is a token, so that no text is unknown


def load_bpe(
    file: str, vocab_size: int, corpus: Sequence[str], max_lines: Optional[int] = None, lowercase: bool = True
) -> 'Tokenizer':
    """The vocabulary in a file; where there is none yet, it is trained on a corpus and written.

    Texts are normalised (NFKC) and cut into bytes, of which the most frequent pairs are merged: no text is unknown. The
    ids 0, 1, 2 are padding, the start and the end of a sentence; the end is appended to every text.

    Args:
        file: json of the package tokenizers. Of several processes, one trains.
        vocab_size: number of tokens, >= 259: the bytes and the three special ones.
        corpus: text files of the training part, source and target, for one vocabulary of both.
        max_lines: of each file; ``None`` for all.
        lowercase: whether upper case is given up.

    Raises:
        FileNotFoundError: there is neither the file nor a file of the corpus.
        ModuleNotFoundError: the package tokenizers is not installed.
        ValueError: a setting is out of its range, the file has another number of tokens, or the corpus has fewer
            different ones.
    """
    with needs('Translation', 'tokenizers', 'text'):
        from tokenizers import Tokenizer
    hint = f'{MIN_SIZE} are the bytes and {", ".join(SPECIAL)}.'
    require(is_count(vocab_size, MIN_SIZE), 'vocabulary', 'vocab_size', f'an integer >= {MIN_SIZE}', vocab_size, hint)
    require(max_lines is None or is_count(max_lines), 'vocabulary', 'max_lines', 'None or an integer >= 1', max_lines)
    path = Path(file)
    if not path.is_file():
        lines = [line for name in corpus for line in read_sentences(Path(name))[:max_lines]]
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f'{path}.lock'):
            if not path.is_file():
                trained = _trained(lines, vocab_size, lowercase)
                with whole_file(path) as partial:
                    trained.save(str(partial))
    found = Tokenizer.from_file(str(path))
    if found.get_vocab_size() != vocab_size:
        raise ValueError(
            f'{path} has {found.get_vocab_size()} tokens, but vocab_size is {vocab_size}. Name another file, which '
            'will be trained, or set vocab_size to that number.'
        )
    found.enable_padding(pad_id=PAD, pad_token=SPECIAL[PAD])
    return found


def _trained(lines: Sequence[str], vocab_size: int, lowercase: bool) -> 'Tokenizer':
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

    found = Tokenizer(models.BPE())
    found.normalizer = normalizers.Sequence([normalizers.NFKC(), *([normalizers.Lowercase()] if lowercase else [])])
    found.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    found.decoder = decoders.ByteLevel()
    found.post_processor = processors.TemplateProcessing(
        single=f'$A {SPECIAL[EOS]}', special_tokens=[(SPECIAL[EOS], EOS)]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(SPECIAL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    found.train_from_iterator(lines, trainer)
    if found.get_vocab_size() != vocab_size:
        raise ValueError(
            f'vocabulary: the corpus of {len(lines)} lines has only {found.get_vocab_size()} different tokens, but '
            f'vocab_size is {vocab_size}. Set vocab_size={found.get_vocab_size()} or less, or take more text.'
        )
    return found
