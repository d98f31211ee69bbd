"""configs/_base_/datasets: each builds, and its pipelines do to images and boxes what they say."""

from pathlib import Path

import pytest
import torch
from mmdet.registry import DATASETS, METRICS, TRANSFORMS
from mmdet.structures.bbox import HorizontalBoxes
from mmengine.config import Config
from mmengine.runner import set_random_seed

BASE = Path(__file__).parents[2] / 'configs' / '_base_' / 'datasets'
SIZES = dict(voc0712_448=448, voc07_224=224, digits_voc_112=112, bccd_320=320)
TEST_META = {'img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'}
FLIP_META = {'flip', 'flip_direction'}
NOT_AUGMENTED = 'digits_voc_112'


def load(name):
    return Config.fromfile(BASE / f'{name}.py')


def leaves(dataset):
    return dataset.get('datasets', [dataset])


def first_class(leaf):
    return leaf.metainfo.classes[0] if 'metainfo' in leaf else 'aeroplane'


@pytest.fixture(autouse=True)
def seeded():
    set_random_seed(0)


@pytest.fixture(params=sorted(SIZES))
def name(request):
    return request.param


@pytest.fixture
def build(make_voc, obj):
    """Builds a dataset of a config on one image with the given boxes."""

    def build(name, split, *boxes, difficult=0, size=(100, 80)):
        dataset = load(name)[f'{split}_dataloader'].dataset
        for index, leaf in enumerate(leaves(dataset)):
            folder = leaf.data_prefix.sub_data_root.strip('/') or 'BCCD'
            voc = make_voc(f'{name}-{split}-{index}', folder)
            leaf.data_root = str(voc.root / (folder if folder == 'BCCD' else ''))
            objects = [obj(first_class(leaf), box, difficult) for box in boxes]
            voc.add('000001', *objects, split=Path(leaf.ann_file).stem, size=size)
        return DATASETS.build(dataset)

    return build


def test_every_file_is_tested():
    # built and trained in test_configs/test_classification.py and test_translation.py
    classification = {'mnist_32', 'mnist_32_imbalanced', 'cifar10_32', 'cifar100_32'}
    graphs = {'dpp4', 'lipophilicity'}  # in test_configs/test_graphs.py
    translation = {'multi30k_de_en', 'multi30k_10k_de_en'}
    masks = {'digits_coco_112', 'small_digits_96'}  # in test_configs/test_digits_masks.py and test_segmentation.py
    images = {'voc07_224_images'}  # in test_configs/test_super_resolution.py
    clustering = {'mnist10k_28', 'mnist10k_28_imbalanced', 'mnist70k_28', 'cifar10_folder_32'}  # test_clustering.py
    gan = {'mnist_28'}  # in test_configs/test_gan.py
    flips = {'voc07_224_flips'}  # in test_flips_are_the_only_difference
    others = {*flips, *clustering, *gan, *graphs, *translation, *masks, *images}
    assert {path.stem for path in BASE.glob('*.py')} == {*SIZES, *classification, *others}


def test_flips_are_the_only_difference():
    plain, flips = load('voc07_224'), load('voc07_224_flips')
    assert flips.train_dataloader.dataset.pipeline == flips.train_pipeline
    steps = [step.type for step in plain.train_pipeline]
    left_out = {'RandomAffine', 'Brightness', 'Color', 'FilterAnnotations'}
    assert [step.type for step in flips.train_pipeline] == [step for step in steps if step not in left_out]
    for cfg in (plain, flips):
        cfg.pop('train_pipeline')
        cfg.train_dataloader.dataset.pop('pipeline')
    assert flips.to_dict() == plain.to_dict()


def test_common_settings(name):
    cfg = load(name)
    assert 'custom_imports' not in cfg
    train = leaves(cfg.train_dataloader.dataset)
    for leaf in train:
        assert leaf.type == 'CheckedVOCDataset'
        assert leaf.filter_cfg == dict(filter_empty_gt=True)  # min_size would hide small objects
        assert leaf.ann_file.endswith('trainval.txt')
    test = cfg.test_dataloader.dataset
    assert test.type == 'CheckedVOCDataset' and test.test_mode
    assert test.ann_file.endswith('test.txt') and 'filter_cfg' not in test
    assert cfg.val_dataloader == cfg.test_dataloader
    metric = METRICS.build(cfg.test_evaluator)
    assert metric.eval_mode == '11points' and metric.iou_thrs == [0.5]


def test_voc0712_reads_both_years(build):
    dataset = build('voc0712_448', 'train', (40, 30, 60, 50))
    assert len(dataset) == 2
    paths = [dataset.get_data_info(index)['img_path'] for index in range(2)]
    assert 'VOC2007' in paths[0] and 'VOC2012' in paths[1]


def test_training_sample(build, name):
    sample = build(name, 'train', (46, 36, 55, 45))[0]
    side = SIZES[name]
    assert sample['inputs'].shape == (3, side, side) and sample['inputs'].dtype == torch.uint8
    assert sample['data_samples'].img_shape == (side, side)
    expected = TEST_META if name == NOT_AUGMENTED else TEST_META | FLIP_META
    assert set(sample['data_samples'].metainfo_keys()) == expected


def test_object_in_the_middle_is_never_lost(build, name):
    # A box from 0.45 to 0.55 of the side, scaled by 1.2 and moved by 20 %, ends at
    # 0.55 * 1.2 + 0.2 = 0.86; at the other extreme it begins at 0.45 * 0.8 - 0.2 = 0.16.
    dataset = build(name, 'train', (46, 37, 55, 44))
    side = SIZES[name]
    sizes = set()
    for _ in range(60):
        instances = dataset[0]['data_samples'].gt_instances
        assert len(instances) == 1
        x1, y1, x2, y2 = instances.bboxes.tensor[0].tolist()
        assert 0.15 * side < x1 < x2 < 0.87 * side and 0.15 * side < y1 < y2 < 0.87 * side
        assert 0.08 * side * 0.75 < x2 - x1 < 0.1 * side * 1.25
        sizes.add(round(x2 - x1, 2))
    assert len(sizes) == 1 if name == NOT_AUGMENTED else len(sizes) > 10  # scaled at random


def test_cut_boxes_stay_within_the_image(build, name):
    dataset = build(name, 'train', (1, 1, 30, 80), (60, 1, 100, 80), (46, 37, 55, 44))
    counts = set()
    for _ in range(60):
        boxes = dataset[0]['data_samples'].gt_instances.bboxes.tensor
        counts.add(len(boxes))
        assert (boxes >= 0).all() and (boxes <= SIZES[name]).all()
        assert (boxes[:, 2:] - boxes[:, :2] > 2).all()
    assert counts == {3}  # none of these can leave the image entirely, so none is lost


def test_image_stays_when_its_objects_are_too_small(build, name):
    # 1 pixel of 1000 is less than 0.5 pixels of 448.
    sample = build(name, 'train', (500, 400, 501, 401), size=(1000, 800))[0]
    assert len(sample['data_samples'].gt_instances) == (1 if name == NOT_AUGMENTED else 0)


def test_boxes_are_kept_from_darknets_share_of_the_side(name):
    train = leaves(load(name).train_dataloader.dataset)
    filters = [step for leaf in train for step in leaf.pipeline if step.type == 'FilterAnnotations']
    assert len(filters) == (0 if name == NOT_AUGMENTED else len(train))
    side = SIZES[name]
    for config in filters:
        # Sides of 0.0049 and 0.0051 of the image's
        boxes = [[0.0, 0.0, width * side, height * side] for width in (0.0049, 0.0051) for height in (0.0049, 0.0051)]
        results = dict(gt_bboxes=HorizontalBoxes(boxes), gt_bboxes_labels=torch.arange(4).numpy())
        assert TRANSFORMS.build(config)(results)['gt_bboxes_labels'].tolist() == [3]


def test_the_order_of_the_objects_is_darknets_at_448_px(build, name):
    """The others have results that were published without it."""
    dataset = build(name, 'train', (30, 30, 50, 50), (32, 32, 52, 52))
    firsts = set()
    for _ in range(20):
        first, second = dataset[0]['data_samples'].gt_instances.bboxes.tensor[:, 1].tolist()
        firsts.add(first < second)
    assert firsts == ({True, False} if name == 'voc0712_448' else {True})


def test_difficult_is_neither_target_nor_background(build, name):
    sample = build(name, 'train', (46, 37, 55, 44), difficult=1)[0]['data_samples']
    assert len(sample.gt_instances) == 0 and len(sample.ignored_instances) == 1


def test_test_sample_keeps_the_boxes_of_the_file(build, name):
    sample = build(name, 'test', (46, 37, 55, 44))[0]
    side = SIZES[name]
    assert sample['inputs'].shape == (3, side, side)
    data_sample = sample['data_samples']
    assert set(data_sample.metainfo_keys()) == TEST_META
    assert data_sample.ori_shape == (80, 100)
    assert data_sample.scale_factor == pytest.approx((side / 100, side / 80))
    assert data_sample.gt_instances.bboxes.tensor.tolist() == [[45, 36, 54, 43]]
