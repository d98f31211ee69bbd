"""ClassImbalancedDataset: how many images of each class remain, and which."""

import struct

import numpy as np
import pytest
from mmdet.datasets import BaseDetDataset, VOCDataset
from mmdet.registry import DATASETS
from mmengine.dataset import BaseDataset, ConcatDataset
from mmengine.registry import DefaultScope

from slf_mmdet.datasets import ClassImbalancedDataset


class Labelled(BaseDetDataset):
    """Images that are nothing but their classes."""

    def __init__(self, labels, classes=10, **kwargs):
        self.labels = labels
        metainfo = dict(classes=tuple(f'class {i}' for i in range(classes)))
        super().__init__(metainfo=metainfo, pipeline=[lambda info: info], serialize_data=False, **kwargs)

    def load_data_list(self):
        return [dict(instances=[dict(bbox_label=label) for label in labels]) for labels in self.labels]


def kept(labels, min_retention, seed=0, classes=10):
    return ClassImbalancedDataset(Labelled(labels, classes), min_retention, seed)


def test_the_rate_rises_from_class_to_class():
    count = 1000
    dataset = kept([[label] for label in range(10)] * count, min_retention=0.1)
    found = np.bincount([dataset.get_cat_ids(i)[0] for i in range(len(dataset))])
    expected = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0])
    spread = np.sqrt(count * expected * (1 - expected))
    np.testing.assert_array_less(np.abs(found - count * expected), 3 * spread + 1e-9)  # the last one: all of them
    np.testing.assert_allclose(dataset.retention_rates, expected)


@pytest.mark.parametrize(
    ('labels', 'rate'),
    [
        ([0], 0.2),
        ([1], 0.6),
        ([2], 1.0),
        ([0, 2], 0.6),
        ([0, 0, 0, 2], 0.6),
        ([0, 1], 0.4),
        ([0, 1, 2], 0.6),
        ([], 1.0),
    ],
    ids=str,
)
def test_an_image_of_several_classes_has_the_mean_of_their_rates(labels, rate):
    count = 2000
    remain = len(kept([labels] * count, min_retention=0.2, classes=3))
    assert abs(remain - count * rate) <= 3 * np.sqrt(count * rate * (1 - rate))


def test_the_seed_decides_and_a_smaller_rate_keeps_a_part():
    labels = [[i % 10] for i in range(500)]
    many, again, fewer = (kept(labels, rate).indices for rate in (0.5, 0.5, 0.2))
    assert many == again == sorted(many)
    assert set(fewer) < set(many)
    assert kept(labels, 0.5, seed=1).indices != many


def test_a_rate_of_one_keeps_all():
    assert kept([[i % 3] for i in range(50)], 1.0, classes=3).indices == list(range(50))


def test_items_are_those_of_the_data_set():
    dataset = kept([[i % 10] for i in range(100)], 0.1)
    for position in (0, len(dataset) - 1):
        index = dataset.indices[position]
        assert dataset[position] == dataset.dataset[index]
        assert dataset.get_data_info(position)['sample_idx'] == index
        assert dataset.get_cat_ids(position) == [index % 10]
    dataset.metainfo.clear()  # a copy
    assert dataset.metainfo == dataset.dataset.metainfo != {}


def test_of_a_config_of_mmdet(voc, obj):
    for index in range(12):
        name = VOCDataset.METAINFO['classes'][0 if index % 2 else 19]
        voc.add(f'{index:06d}', obj(name, (5, 5, 20, 20)))
    cfg = dict(type='ClassImbalancedDataset', min_retention=1e-6, dataset=dict(type='VOCDataset', **voc.kwargs()))
    dataset = DATASETS.build(cfg)
    ids = [dataset.get_data_info(i)['img_id'] for i in range(len(dataset))]
    assert ids == [f'{index:06d}' for index in range(0, 12, 2)]  # all of the last class, none of the first


def write_mnist(root, labels):
    images = np.random.default_rng(0).integers(0, 256, (len(labels), 28, 28), np.uint8)
    for split in ('train', 't10k'):
        (root / f'{split}-images-idx3-ubyte').write_bytes(struct.pack('>4i', 0x803, *images.shape) + images.tobytes())
        header = struct.pack('>2i', 0x801, len(labels))
        (root / f'{split}-labels-idx1-ubyte').write_bytes(header + np.array(labels, np.uint8).tobytes())


def test_of_a_config_of_mmpretrain(tmp_path):
    registry = pytest.importorskip('mmpretrain.registry', reason="needs mmpretrain: pip install 'slf-mmdet[cls]'")
    import mmpretrain.datasets  # noqa: F401  registers them

    write_mnist(tmp_path, [i % 10 for i in range(200)])
    inner = dict(
        type='MNIST', data_root=str(tmp_path), split='train', download=False, pipeline=[dict(type='PackInputs')]
    )
    cfg = dict(type='mmdet.ClassImbalancedDataset', min_retention=0.1, dataset=inner)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        dataset = registry.DATASETS.build(cfg)
    assert dataset.metainfo['classes'][0] == '0 - zero'
    samples = [dataset[i]['data_samples'] for i in range(len(dataset))]
    assert [int(sample.gt_label) for sample in samples] == [index % 10 for index in dataset.indices]
    assert [sample.sample_idx for sample in samples] == dataset.indices
    assert sum(index % 10 == 9 for index in dataset.indices) == 20 > sum(index % 10 == 0 for index in dataset.indices)


@pytest.mark.parametrize('value', [0, -0.5, 1.5, float('nan'), '0.5', None, True])
def test_wrong_rate(value):
    with pytest.raises(ValueError, match=r'ClassImbalancedDataset: min_retention must be in \(0, 1\], found'):
        kept([[0]], value)


def test_wrong_seed():
    with pytest.raises(ValueError, match='seed must be an integer >= 0, found -1'):
        kept([[0]], 0.5, seed=-1)


def test_one_class_cannot_be_imbalanced():
    with pytest.raises(ValueError, match=r"metainfo\['classes'\] of Labelled must be at least two class names, found"):
        kept([[0]], 0.5, classes=1)


def test_nothing_is_left():
    with pytest.raises(ValueError, match='min_retention=0.001 keeps none of the 3 images of Labelled'):
        kept([[0]] * 3, 0.001)


def test_a_concatenation_is_refused():
    class Unlabelled(BaseDataset):
        def load_data_list(self):
            return [{}]

    both = ConcatDataset([Unlabelled(), Unlabelled()])
    with pytest.raises(TypeError, match='ConcatDataset has no get_cat_ids.*each member'):
        ClassImbalancedDataset(both, 0.5)
