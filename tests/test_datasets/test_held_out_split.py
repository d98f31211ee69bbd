"""Images that are held out: never among those to train with, and the same in every config of the same split."""

import pytest
from mmdet.registry import DATASETS
from mmengine.config import Config

from ..helpers import CONFIGS, IN_PROCESS

CONFIG = CONFIGS / 'slf/slf_validation_yolov1_nano_1xb16-12e_digits-112px.py'


@pytest.fixture
def whole(digits):
    """Config of 64 images of the digits."""
    cfg = Config.fromfile(CONFIGS / 'yolov1/yolov1_nano_1xb16-12e_digits-112px.py').train_dataloader.dataset
    cfg.data_root = str(digits / cfg.data_root) + '/'
    return cfg


@pytest.fixture
def split(whole):
    """A function that builds a part of them."""
    return lambda **settings: DATASETS.build(dict(type='HeldOutSplit', dataset=whole, **settings))


def paths(dataset):
    return [dataset.get_data_info(index)['img_path'] for index in range(len(dataset))]


@pytest.mark.parametrize(('share', 'number'), [(0.1, 6), (0.5, 32), (0.001, 1), (0.999, 63)])
def test_the_two_parts_are_the_data_set(split, share, number):
    train, held_out = (paths(split(share=share, part=part)) for part in ('train', 'held_out'))
    assert len(held_out) == number  # 0.1 * 64 = 6.4
    assert not set(train) & set(held_out)
    assert len(set(train + held_out)) == 64


def test_the_seed_decides_the_split(split):
    first, same, other = (paths(split(part='held_out', seed=seed)) for seed in (0, 0, 1))
    assert first == same != other


def test_a_pipeline_of_its_own(split):
    pipeline = [dict(type='LoadAnnotations', with_bbox=True)]
    dataset = split(part='held_out', pipeline=pipeline)
    assert 'inputs' not in dataset[0] and len(dataset[0]['gt_bboxes'])
    assert paths(dataset) == paths(split(part='held_out'))
    with pytest.raises(ValueError, match='dataset must be a config with a pipeline'):
        DATASETS.build(dict(type='HeldOutSplit', dataset=dataset.dataset, pipeline=pipeline))


def test_it_answers_what_training_asks(split):
    dataset = split(part='held_out')
    assert dataset.metainfo['classes'][0] == 'zero'
    assert dataset.get_cat_ids(0) == dataset.dataset.get_cat_ids(dataset.indices[0])
    assert tuple(dataset[0]['inputs'].shape) == (3, 112, 112)


def test_the_config_keeps_the_validation_images_out_of_training(digits):
    cfg = Config.fromfile(CONFIG)
    cfg.merge_from_dict({option.split('=')[0]: eval(option.split('=')[1]) for option in IN_PROCESS})
    signal = cfg.model.bbox_head.loss_balancer.signal
    for dataset in (cfg.train_dataloader.dataset, signal.dataset):
        dataset.dataset.data_root = str(digits / dataset.dataset.data_root) + '/'
    train, validation = (DATASETS.build(dataset) for dataset in (cfg.train_dataloader.dataset, signal.dataset))
    assert len(train) + len(validation) == 64
    assert not set(paths(train)) & set(paths(validation))


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        (dict(share=0.0), r'HeldOutSplit: share must be in \(0, 1\), found 0.0'),
        (dict(share=1), r'share must be in \(0, 1\), found 1'),
        (dict(part='val'), r"part must be one of \['train', 'held_out'\], found 'val'"),
        (dict(seed=-1), 'seed must be an integer >= 0, found -1'),
    ],
)
def test_wrong_settings(split, wrong, message):
    with pytest.raises(ValueError, match=message):
        split(**wrong)


@pytest.mark.parametrize(
    'wrapper',
    [
        dict(type='RepeatDataset', times=3),
        dict(type='ClassBalancedDataset', oversample_thr=0.5),
        dict(type='MultiImageMixDataset', pipeline=[dict(type='Mosaic', img_scale=(64, 64))]),
    ],
    ids=lambda wrapper: wrapper['type'],
)
def test_wrappers_go_around_it(whole, wrapper):
    """Inside it they would bring images that are held out into the training."""
    half = dict(type='HeldOutSplit', dataset=whole, share=0.5)
    around = DATASETS.build(dict(wrapper, dataset=half))
    assert len(around) >= 32 and around.metainfo['classes'][0] == 'zero'
    inside = dict(wrapper, dataset=whole)
    with pytest.raises(ValueError, match=f'split the data set inside it instead, found {wrapper["type"]!r}'):
        DATASETS.build(dict(type='HeldOutSplit', dataset=inside))
    both = DATASETS.build(dict(type='ConcatDataset', datasets=[half, dict(half, part='held_out')]))
    assert len(both) == 64
