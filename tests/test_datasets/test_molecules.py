"""MoleculeDataset: features worked out by hand, the split, and what is wrong with a file."""

import gzip
import sys

import numpy as np
import pytest
import torch

from slf_mmdet.datasets import BadDataError, MoleculeDataset, PackFeatures

from ..molecule_files import write_molecules

pytest.importorskip('rdkit', reason="molecules need RDKit: pip install 'slf-mmdet[graphs]'")

HEADER = 'smiles,pIC50,split'
# With radius 0 a feature counts the atoms of one kind. Alkanes have two CH3 each, and 0, 1, 2, 3, 4 CH2
ALKANES = [HEADER, 'CC,1,train', 'CCC,2,train', 'CCCC,3,train', 'CCCCC,4,test', 'CCCCCC,5,test']


@pytest.fixture
def write(tmp_path):
    def write(lines, name='molecules.csv'):
        path = tmp_path / name
        path.write_text('\n'.join(lines) + '\n', encoding='utf-8')
        return path

    return write


def load(path, split='train', **settings):
    return MoleculeDataset(str(path), **{'target': 'pIC50', 'split_column': 'split', 'split': split, **settings})


def test_features_by_hand(write):
    # CH3 is 2 in all molecules and left out. CH2 is in two of the training molecules; its maximum there is 2
    path = write(ALKANES)
    features, targets = load(path, radius=0, min_molecules=2).matrix()
    np.testing.assert_array_equal(features, [[0], [0.5], [1]])
    np.testing.assert_array_equal(targets, [1, 2, 3])
    features, targets = load(path, 'test', radius=0, min_molecules=2).matrix()
    np.testing.assert_array_equal(features, [[1.5], [2]])
    np.testing.assert_array_equal(targets, [4, 5])


def test_rare_features_are_left_out(write):
    # Atoms by hand: CH3 in 4 training molecules, CH2 in 3, OH in 2, NH2 in 1; the test molecules do not count
    lines = [HEADER, 'CC,1,train', 'CCC,2,train', 'CCO,3,train', 'CCCO,4,train', 'NC,5,train']
    lines += ['CN,1,test', 'NCC,2,test', 'NCCC,3,test']
    path = write(lines)
    sizes = {count: load(path, radius=0, min_molecules=count).matrix()[0].shape[1] for count in (1, 2, 3)}
    assert sizes == {1: 4, 2: 3, 3: 2}


def test_a_larger_radius_adds_features(write):
    path = write_molecules(write([HEADER]))
    sizes = [load(path, radius=radius).matrix()[0].shape[1] for radius in (0, 1, 2)]
    assert sizes == sorted(set(sizes))


def test_items(write):
    dataset = load(write(ALKANES), radius=0, min_molecules=2, pipeline=[dict(type='PackFeatures')])
    item = dataset[2]
    assert set(item) == {'inputs', 'data_samples'}
    assert item['inputs'].dtype == torch.float32 and item['inputs'].tolist() == [1]
    sample = item['data_samples']
    assert sample.gt_value == 3 and (sample.smiles, sample.line, sample.sample_idx) == ('CCCC', 4, 2)
    assert repr(PackFeatures()) == 'PackFeatures()'


def test_gzipped_file(write, tmp_path):
    path = tmp_path / 'molecules.csv.gz'
    path.write_bytes(gzip.compress(write(ALKANES).read_bytes()))
    assert len(load(path, radius=0, min_molecules=2)) == 3


def test_a_changed_file_is_read_again(write):
    path = write(ALKANES)
    assert len(load(path, 'test', radius=0, min_molecules=2)) == 2
    write([*ALKANES, 'CCCCCCC,6,test'])
    assert len(load(path, 'test', radius=0, min_molecules=2)) == 3


def test_random_split(write):
    path = write_molecules(write([HEADER]))
    settings = dict(split_column=None, test_share=0.3)
    parts = {
        split: {entry['smiles'] for entry in load(path, split, **settings).load_data_list()}
        for split in ('train', 'test')
    }
    assert {split: len(part) for split, part in parts.items()} == dict(train=56, test=24)
    assert not parts['train'] & parts['test']
    again, other = (
        {entry['smiles'] for entry in load(path, 'test', seed=seed, **settings).load_data_list()} for seed in (0, 1)
    )
    assert again == parts['test'] != other


@pytest.mark.parametrize(
    ('lines', 'message'),
    [
        (['smiles,value,split', 'CC,1,train'], r"has no column \['pIC50'\]; its columns are \['smiles', 'value', 'spl"),
        ([], r"has no column \['smiles', 'pIC50', 'split'\]; its columns are \[\]"),
        ([*ALKANES, 'C1CC,2,train'], r"line 7: 'C1CC' is not a molecule in SMILES notation"),
        ([*ALKANES, ',2,train'], r"line 7: '' is not a molecule"),
        ([*ALKANES, 'CC,high,test'], r"line 7: pIC50 must be a finite number, found 'high'"),
        ([*ALKANES, 'CC,nan,test'], r"line 7: pIC50 must be a finite number, found 'nan'"),
        ([*ALKANES, 'CC'], r'line 7: pIC50 must be a finite number, found None'),
        ([*ALKANES, 'CC,1,valid'], r"line 7: split must be one of \['train', 'test'\], found 'valid'"),
        (ALKANES[:4], r"has no molecule in the split 'test'"),
        ([*ALKANES[:2], ALKANES[4]], r'has no substructure that is in 1 of its 1 training molecules and varies'),
    ],
)
def test_wrong_files(lines, message, write):
    path = write(lines)
    with pytest.raises(BadDataError, match=message) as error:
        load(path, radius=0, min_molecules=1)
    assert str(path) in str(error.value) and error.value.problems[0].path == str(path)


def test_absent_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'there is no file .*nothing\.csv\. Set data_root and ann_file'):
        load(tmp_path / 'nothing.csv')


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(split='val'), r"split must be one of \['train', 'test'\], found 'val'"),
        (dict(test_share=1), r'test_share must be in \(0, 1\), found 1'),
        (dict(seed=-1), r'seed must be an integer >= 0, found -1'),
        (dict(radius=1.5), r'radius must be an integer >= 0, found 1.5'),
        (dict(min_molecules=0), r'min_molecules must be an integer >= 1, found 0'),
    ],
)
def test_wrong_settings(settings, message, write):
    with pytest.raises(ValueError, match=message):
        load(write(ALKANES), **settings)


def test_without_rdkit(write, monkeypatch):
    monkeypatch.setitem(sys.modules, 'rdkit', None)
    with pytest.raises(ImportError, match=r"MoleculeDataset needs rdkit: pip install 'slf-mmdet\[graphs\]'"):
        load(write(ALKANES))
