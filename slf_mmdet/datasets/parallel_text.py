"""Sentences and their translations, line by line in two text files."""

from pathlib import Path
from typing import Any, List

from mmdet.registry import DATASETS
from mmengine.dataset import BaseDataset
from mmengine.structures import BaseDataElement

from .findings import BadDataError, Finding, listed


@DATASETS.register_module()
class ParallelTextDataset(BaseDataset):
    """Pairs of sentences: line i of one file is translated by line i of the other, as in Multi30k and WMT's files.

    An item has the source as ``inputs``, a text, and as ``data_samples`` an element with the texts ``source`` and
    ``target`` and the metainfo ``img_id``, ``<source_file>:<line>``. Tokens are made in the data preprocessor of the
    model, :class:`~slf_mmdet.models.translation.TranslationPreprocessor`, which has the vocabulary.

    Args:
        source_file: UTF-8 text, one sentence a line, relative to ``data_root``.
        target_file: the translations.
        kwargs: of mmengine's ``BaseDataset``; ``indices=10000`` takes the first 10,000 pairs.

    Raises:
        BadDataError: a sentence is empty, the files differ in their number of lines, or have none.
        FileNotFoundError: a file is missing.
    """

    METAINFO = dict(dataset_type='parallel text')

    def __init__(self, source_file: str, target_file: str, **kwargs: Any) -> None:
        self.source_file = source_file
        self.target_file = target_file
        super().__init__(**kwargs)

    def load_data_list(self) -> List[dict]:
        source, target = (Path(self.data_root, name) for name in (self.source_file, self.target_file))
        pairs = read_pairs(source, target)
        return [
            dict(source=one, target=other, img_id=f'{self.source_file}:{number}')
            for number, (one, other) in enumerate(pairs, 1)
        ]

    def prepare_data(self, idx: int) -> dict:
        pair = super().prepare_data(idx)
        sample = BaseDataElement(metainfo=dict(img_id=pair['img_id']), source=pair['source'], target=pair['target'])
        return dict(inputs=pair['source'], data_samples=sample)


def read_pairs(source: Path, target: Path) -> List[tuple]:
    """Sentences and translations of two files, without white space at their ends.

    Raises:
        BadDataError: see :class:`ParallelTextDataset`.
        FileNotFoundError: a file is missing.
    """
    lines = {path: read_sentences(path) for path in (source, target)}
    if len(lines[source]) != len(lines[target]):
        raise BadDataError(
            f'{source} has {len(lines[source])} lines, but {target} has {len(lines[target])}: line i of one must be '
            'the translation of line i of the other.'
        )
    if not lines[source]:
        raise BadDataError(f'{source} and {target} have no line.')
    empty = [
        Finding(f'{path}:{number}', 'the sentence is empty')
        for path, sentences in lines.items()
        for number, sentence in enumerate(sentences, 1)
        if not sentence
    ]
    if empty:
        raise BadDataError(f'Remove these pairs from both files:\n{listed(empty)}', empty)
    return list(zip(lines[source], lines[target]))


def read_sentences(path: Path) -> List[str]:
    """The lines of a UTF-8 file, without white space at their ends; only line feeds end a line.

    Raises:
        FileNotFoundError: there is no such file.
    """
    if not path.is_file():
        raise FileNotFoundError(f'{path} is missing: a text file in UTF-8 with one sentence a line. Check data_root.')
    lines = path.read_text(encoding='utf-8').split('\n')  # str.splitlines also splits at characters within sentences
    return [line.strip() for line in (lines[:-1] if lines[-1] == '' else lines)]
