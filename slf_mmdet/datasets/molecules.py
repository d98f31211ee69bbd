"""Molecules and a measured quantity, from a csv file: the features are counts of substructures."""

import csv
import gzip
import math
from collections import Counter
from functools import lru_cache
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

import numpy as np
from mmdet.registry import DATASETS
from mmengine.dataset import BaseDataset

from ..utils.checks import is_count, is_number, require
from ..utils.optional import needs
from .findings import BadDataError, Finding

SPLITS = ('train', 'test')


class _Molecule(NamedTuple):
    line: int
    smiles: str
    value: float
    split: str


class _Table(NamedTuple):
    molecules: List[_Molecule]
    features: np.ndarray  # (molecules, D)


@DATASETS.register_module()
class MoleculeDataset(BaseDataset):
    """Molecules, each a vector of fingerprint counts, and a number to predict.

    The protocol is that of Hechtlinger et al., "A Generalization of Convolutional Neural Networks to Graph-Structured
    Data" (2017): a feature is kept if it is active in at least ``min_molecules`` of the training molecules, and divided
    by its maximum over them. Features are counts of circular substructures (Morgan fingerprints of RDKit, not hashed to
    a length). Those with one value in all training molecules are left out.

    Args:
        ann_file: csv file with a header, plain or gzipped, one molecule a line.
        target: its column with the number to predict.
        split: ``'train'`` or ``'test'``.
        split_column: its column with the split of each molecule; ``None`` splits at random.
        test_share: share of the test split, in (0, 1), without a ``split_column``.
        seed: of the random split.
        smiles: its column with the molecule.
        radius: of the substructures, in bonds around an atom.
        min_molecules: see above.
        kwargs: see mmengine's ``BaseDataset``; ``data_root`` and ``pipeline`` for instance.

    Raises:
        BadDataError: a column is missing, a molecule cannot be parsed, a number or the name of a split is none, a split
            is empty, or no feature is left. It names the file and the line.
        ModuleNotFoundError: RDKit is not installed.
    """

    METAINFO: Dict[str, Any] = dict()

    def __init__(
        self,
        ann_file: str,
        target: str,
        split: str = 'train',
        split_column: Optional[str] = None,
        test_share: float = 0.25,
        seed: int = 0,
        smiles: str = 'smiles',
        radius: int = 2,
        min_molecules: int = 20,
        **kwargs: Any,
    ) -> None:
        owner = type(self).__name__
        require(split in SPLITS, owner, 'split', f'one of {list(SPLITS)}', split)
        require(is_number(test_share, 0, 1) and 0 < test_share < 1, owner, 'test_share', 'in (0, 1)', test_share)
        require(is_count(seed, 0), owner, 'seed', 'an integer >= 0', seed)
        require(is_count(radius, 0), owner, 'radius', 'an integer >= 0', radius)
        require(is_count(min_molecules), owner, 'min_molecules', 'an integer >= 1', min_molecules)
        self.split = split
        self._columns = (smiles, target, split_column)
        self._random_split = (float(test_share), seed)
        self._fingerprint = (radius, min_molecules)
        # A small data set: workers need not share its memory, and mmengine's serialisation would take seconds
        super().__init__(ann_file, **{'serialize_data': False, **kwargs})

    def load_data_list(self) -> List[dict]:
        """One dict for each molecule of the split: ``features`` (D,), ``value``, ``smiles`` and ``line``."""
        path = Path(self.ann_file)
        if not path.is_file():
            raise FileNotFoundError(f'{type(self).__name__}: there is no file {path}. Set data_root and ann_file.')
        stamp = path.stat().st_mtime_ns
        table = _read(path, stamp, self._columns, self._random_split, self._fingerprint)
        return [
            dict(features=features, value=molecule.value, smiles=molecule.smiles, line=molecule.line)
            for molecule, features in zip(table.molecules, table.features)
            if molecule.split == self.split
        ]

    def matrix(self) -> Tuple[np.ndarray, np.ndarray]:
        """The features ``(N, D)`` and the values ``(N,)`` of all its molecules."""
        entries = [self.get_data_info(index) for index in range(len(self))]
        return np.stack([entry['features'] for entry in entries]), np.array([entry['value'] for entry in entries])


@lru_cache(maxsize=4)  # the splits of a run, and its model, read one file
def _read(
    path: Path,
    stamp: int,
    columns: Tuple[str, str, Optional[str]],
    random_split: Tuple[float, int],
    fingerprint: Tuple[int, int],
) -> _Table:
    """Reads a file; ``stamp`` is the time of its last change."""
    molecules = list(_rows(path, columns))
    if columns[2] is None:
        share, seed = random_split
        order = np.random.default_rng(seed).permutation(len(molecules))
        test = set(order[: round(share * len(molecules))].tolist())
        molecules = [
            molecule._replace(split='test' if index in test else 'train') for index, molecule in enumerate(molecules)
        ]
    for split in SPLITS:
        if all(molecule.split != split for molecule in molecules):
            raise _bad(path, f'has no molecule in the split {split!r}')
    radius, min_molecules = fingerprint
    counts = _substructures(path, molecules, radius)
    is_train = np.array([molecule.split == 'train' for molecule in molecules])
    features = _frequent(counts, is_train, min_molecules)
    if not features.shape[1]:
        raise _bad(
            path,
            f'has no substructure that is in {min_molecules} of its {is_train.sum()} training molecules and varies '
            'over them. Lower min_molecules, or take more molecules',
        )
    return _Table(molecules, features)


def _rows(path: Path, columns: Tuple[str, str, Optional[str]]) -> Iterator[_Molecule]:
    smiles, target, split = columns
    opened = gzip.open if path.suffix == '.gz' else open
    with opened(path, 'rt', encoding='utf-8', newline='') as file:
        reader = csv.DictReader(file)
        found = reader.fieldnames or []
        missing = [name for name in columns if name is not None and name not in found]
        if missing:
            raise _bad(path, f'has no column {missing}; its columns are {list(found)}')
        for row in reader:
            line, text = reader.line_num, row[target]
            try:
                value = float(text)
            except (TypeError, ValueError):
                value = math.nan
            if not math.isfinite(value):
                raise _bad(path, f'line {line}: {target} must be a finite number, found {text!r}')
            if split is not None and row[split] not in SPLITS:
                raise _bad(path, f'line {line}: {split} must be one of {list(SPLITS)}, found {row[split]!r}')
            yield _Molecule(line, row[smiles] or '', value, '' if split is None else row[split])


def _substructures(path: Path, molecules: List[_Molecule], radius: int) -> List[Dict[int, int]]:
    """Number of each circular substructure in each molecule."""
    with needs('MoleculeDataset', 'rdkit', 'graphs'):
        from rdkit import Chem
        from rdkit.Chem.rdFingerprintGenerator import GetMorganGenerator
    generator = GetMorganGenerator(radius=radius)
    counts = []
    for molecule in molecules:
        parsed = Chem.MolFromSmiles(molecule.smiles)
        if parsed is None or not parsed.GetNumAtoms():
            raise _bad(
                path,
                f'line {molecule.line}: {molecule.smiles!r} is not a molecule in SMILES notation. Correct the line',
            )
        counts.append(generator.GetSparseCountFingerprint(parsed).GetNonzeroElements())
    return counts


def _frequent(counts: List[Dict[int, int]], is_train: np.ndarray, min_molecules: int) -> np.ndarray:
    """Counts of the substructures that are frequent in training and vary there, over their maximum there."""
    occurrences = Counter(key for found, use in zip(counts, is_train) if use for key in found)
    kept = sorted(key for key, number in occurrences.items() if number >= min_molecules)
    features = np.array([[found.get(key, 0) for key in kept] for found in counts], dtype=np.float32)
    features = features.reshape(len(counts), len(kept))
    features = features[:, np.ptp(features[is_train], axis=0) > 0]
    return features / features[is_train].max(axis=0)


def _bad(path: Path, reason: str) -> BadDataError:
    return BadDataError(f'MoleculeDataset: {path}: {reason}.', [Finding(str(path), reason)])
