"""Digits in the files of MNIST: read as MNIST, from disjoint scans, always the same."""

import hashlib

import numpy as np
import pytest
from sklearn.datasets import load_digits

from slf_mmdet.datasets import digits_idx
from slf_mmdet.datasets.digits_idx import build_digits_idx


def hashes(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


@pytest.fixture(scope='module')
def built(tmp_path_factory):
    return build_digits_idx(tmp_path_factory.mktemp('digits') / 'set', num_train=60, num_test=20)


@pytest.mark.parametrize(('test_mode', 'count'), [(False, 60), (True, 20)])
def test_is_read_as_mnist(built, test_mode, count):
    datasets = pytest.importorskip('mmpretrain.datasets', reason="needs mmpretrain: pip install 'slf-mmdet[cls]'")
    split = 'test' if test_mode else 'train'
    found = datasets.MNIST(data_root=str(built), split=split, test_mode=test_mode, download=False)
    assert len(found) == count
    infos = [found.get_data_info(index) for index in range(count)]
    assert len({int(info['gt_label']) for info in infos}) > 5
    for info in infos:
        assert info['img'].shape == (28, 28) and info['img'].dtype == np.uint8
        assert not info['img'][[0, -1]].any() and not info['img'][:, [0, -1]].any()  # a black margin
        assert info['img'].max() == 255


def test_labels_and_splits_are_those_of_the_scans(tmp_path, monkeypatch):
    """A scan is put into the image as it is, in place of one enlarged at random."""
    monkeypatch.setattr(digits_idx, 'enlarge', lambda scan, side, rng: scan)
    scans = load_digits()
    index_of = {(255 * scan / 16).round().astype(np.uint8).tobytes(): i for i, scan in enumerate(scans.images)}
    for split, allowed in (('trainval', range(1437)), ('test', range(1437, 1797))):
        images, labels = digits_idx._draw(split, 50, np.random.default_rng(0))
        found = [index_of[image[10:18, 10:18].tobytes()] for image in images]
        assert set(found) <= set(allowed)
        assert labels.tolist() == scans.target[found].tolist()


def test_the_same_parameters_give_the_same_bytes(built, tmp_path):
    assert hashes(build_digits_idx(tmp_path / 'same', num_train=60, num_test=20)) == hashes(built)
    other = hashes(build_digits_idx(tmp_path / 'other', num_train=60, num_test=20, seed=1))
    assert len(other) == 4 and all(other[name] != value for name, value in hashes(built).items())


def test_files_that_are_there_are_kept(built, tmp_path):
    before = hashes(built)
    with pytest.raises(FileExistsError, match=r"holds \['t10k-images-idx3-ubyte', .*Nothing was changed: name another"):
        build_digits_idx(built)
    assert hashes(built) == before
    (tmp_path / 'train-images-idx3-ubyte.gz').write_bytes(b'MNIST itself')
    with pytest.raises(FileExistsError, match='train-images-idx3-ubyte.gz'):
        build_digits_idx(tmp_path)


@pytest.mark.parametrize(('setting', 'value'), [('num_train', 0), ('num_test', 1.5), ('seed', -1)])
def test_wrong_parameters(setting, value, tmp_path):
    with pytest.raises(ValueError, match=f'digits_idx: {setting} must be an integer >= .*found {value}'):
        build_digits_idx(tmp_path, **{setting: value})
    assert not list(tmp_path.iterdir())


def test_a_build_that_is_interrupted_leaves_nothing(tmp_path, monkeypatch):
    draw = digits_idx._draw

    def interrupted(split, *args):
        if split == 'test':
            raise KeyboardInterrupt
        return draw(split, *args)

    monkeypatch.setattr(digits_idx, '_draw', interrupted)
    with pytest.raises(KeyboardInterrupt):
        build_digits_idx(tmp_path, num_train=6, num_test=2)
    assert not list(tmp_path.iterdir())
    monkeypatch.undo()
    assert len(list(build_digits_idx(tmp_path, num_train=6, num_test=2).iterdir())) == 4
