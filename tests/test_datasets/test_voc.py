"""CheckedVOCDataset: equal to mmdet's data set on good data, and plain about bad data."""

import logging

import numpy as np
import pytest
import torch
from mmdet.datasets import VOCDataset
from mmdet.evaluation import VOCMetric
from mmdet.registry import DATASETS
from mmengine.logging import MMLogger
from mmengine.structures import InstanceData

from slf_mmdet.datasets import BadDataError, CheckedVOCDataset

TEST_PIPELINE = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='PackDetInputs', meta_keys=('img_id', 'ori_shape', 'img_shape')),
]


@pytest.fixture
def logged():
    """Records of what is logged."""
    records = []
    handler = logging.Handler()
    handler.emit = records.append
    logger = MMLogger.get_current_instance()
    logger.addHandler(handler)
    yield records
    logger.removeHandler(handler)


@pytest.fixture
def warnings(logged):
    """Returns the texts of all warnings so far."""
    return lambda: [r.getMessage() for r in logged if r.levelno == logging.WARNING]


def boxes_of(dataset, index=0):
    return [instance['bbox'] for instance in dataset.get_data_info(index)['instances']]


# Good data


def test_equals_mmdet_on_good_data(voc, obj, warnings):
    rng = np.random.default_rng(0)
    for index in range(8):
        objects = []
        for _ in range(index):
            x1, y1 = rng.integers(1, [39, 29])
            box = (x1, y1, rng.integers(x1 + 1, 41), rng.integers(y1 + 1, 31))
            name = VOCDataset.METAINFO['classes'][rng.integers(20)]
            objects.append(obj(name, box, difficult=rng.integers(2)))
        voc.add(f'{index:06d}', *objects)

    theirs, ours = VOCDataset(**voc.kwargs()), CheckedVOCDataset(**voc.kwargs())
    assert [ours.get_data_info(i) for i in range(8)] == [theirs.get_data_info(i) for i in range(8)]
    assert ours.metainfo == theirs.metainfo
    assert ours.bad_boxes == [] and warnings() == []


def test_registered_in_mmdet(voc, obj):
    voc.add('000001', obj('dog'))
    assert len(DATASETS.build(dict(type='CheckedVOCDataset', **voc.kwargs()))) == 1


def test_box_and_difficult_by_hand(voc, obj):
    # VOC counts from 1, mmdet from 0: every corner is one less.
    voc.add('000001', obj('dog', (1, 2, 40, 30)), obj('cat', (3, 4, 5, 6), difficult=1))
    first, second = CheckedVOCDataset(**voc.kwargs()).get_data_info(0)['instances']
    assert first == dict(bbox=[0, 1, 39, 29], bbox_label=11, ignore_flag=0)
    assert second == dict(bbox=[2, 3, 4, 5], bbox_label=7, ignore_flag=1)


def test_image_without_objects_is_a_negative(voc, obj):
    voc.add('000001')
    voc.add('000002', obj('dog'))
    assert len(CheckedVOCDataset(**voc.kwargs())) == 2
    filtered = CheckedVOCDataset(filter_cfg=dict(filter_empty_gt=True), **voc.kwargs())
    assert [filtered.get_data_info(i)['img_id'] for i in range(len(filtered))] == ['000002']


def test_other_classes_and_suffix(voc, obj):
    voc.add('a', obj('WBC'), suffix='.png')
    dataset = CheckedVOCDataset(metainfo=dict(classes=('RBC', 'WBC')), img_suffix='.png', **voc.kwargs())
    info = dataset.get_data_info(0)
    assert info['img_path'].endswith('JPEGImages/a.png')
    assert info['instances'][0]['bbox_label'] == 1


def test_size_is_read_from_the_image_where_the_xml_has_none(voc, obj):
    voc.add('000001', obj('dog'), size=(50, 20), size_xml='')
    info = CheckedVOCDataset(**voc.kwargs()).get_data_info(0)
    assert (info['width'], info['height']) == (50, 20)


def test_empty_lines_of_the_list_are_skipped(voc, obj):
    voc.add('000001', obj('dog'))
    with voc.list_path().open('a') as ids:
        ids.write('\n')
    assert len(CheckedVOCDataset(**voc.kwargs())) == 1


# Arguments


@pytest.mark.parametrize('name', ['unknown_class', 'bad_box'])
def test_option_names_its_choices(voc, name):
    with pytest.raises(ValueError, match=rf"{name} must be one of '.+', '.+', found 'maybe'"):
        CheckedVOCDataset(**{name: 'maybe'}, **voc.kwargs())


def test_single_class_without_comma(voc, obj):
    voc.add('000001', obj('dog'))
    with pytest.raises(ValueError, match=r"must be a tuple.* 'dog'.*\('dog',\)"):
        CheckedVOCDataset(metainfo=dict(classes=('dog')), **voc.kwargs())


# Folders


@pytest.mark.parametrize(
    ('changed', 'key'),
    [
        (dict(data_root='nowhere/'), 'data_root'),
        (dict(data_prefix=dict(sub_data_root='VOC2012/')), 'data_prefix.sub_data_root'),
        (dict(ann_file='VOC2007/ImageSets/Main/val.txt'), 'ann_file'),
        (dict(img_subdir='Images'), 'img_subdir'),
        (dict(ann_subdir='Labels'), 'ann_subdir'),
    ],
)
def test_missing_folder_says_what_is_expected(voc, obj, changed, key):
    voc.add('000001', obj('dog'))
    with pytest.raises(FileNotFoundError) as error:
        CheckedVOCDataset(**{**voc.kwargs(), **changed})
    text = str(error.value)
    assert f'config key {key!r}' in text
    for part in ('<id>.jpg', '<id>.xml', '--cfg-options', 'host.robots.ox.ac.uk', 'make demo'):
        assert part in text


# Files


def test_all_problems_are_collected(voc, obj):
    for index in range(1, 8):
        voc.add(f'00000{index}', obj('dog'))
    voc.xml_path('000002').unlink()
    voc.xml_path('000003').write_text('<annotation><size>')
    voc.image_path('000004').unlink()
    voc.image_path('000005').write_bytes(b'')
    voc.xml_path('000006').write_text('<annotation><size><width>4</width></size></annotation>')

    with pytest.raises(BadDataError) as error:
        CheckedVOCDataset(**voc.kwargs())
    reasons = {finding.path.rsplit('/')[-1]: finding.reason for finding in error.value.problems}
    assert reasons == {
        '000002.xml': 'cannot be read (No such file or directory)',
        '000003.xml': 'malformed xml (no element found: line 1, column 18)',
        '000004.jpg': 'image cannot be read (No such file or directory)',
        '000005.jpg': 'image is empty (0 bytes)',
        '000006.xml': "<size> must hold <width> and <height> >= 1, found '4' and None",
    }
    text = str(error.value)
    assert '5 problem(s)' in text and 'Images are looked for as <id>.jpg: there is none of that name' in text
    assert all(name in text for name in reasons)
    assert [entry['img_id'] for entry in error.value.usable] == ['000001', '000007']


def test_long_list_is_cut(voc):
    for index in range(14):
        voc.add(f'{index:06d}')
        voc.image_path(f'{index:06d}').unlink()
    with pytest.raises(BadDataError, match='14 problem') as error:
        CheckedVOCDataset(**voc.kwargs())
    text = str(error.value)
    assert text.count('image cannot be read') == 10 and '... and 4 more' in text
    assert len(error.value.problems) == 14


@pytest.mark.parametrize(
    'size_xml',
    [
        '<size/>',
        '<size><width>0</width><height>0</height></size>',
        '<size><width>-4</width><height>30</height></size>',
        '<size><width>wide</width><height>30</height></size>',
        '<size><width>inf</width><height>30</height></size>',
    ],
)
def test_unusable_size(voc, size_xml):
    voc.add('000001', size_xml=size_xml)
    with pytest.raises(BadDataError, match='<size> must hold'):
        CheckedVOCDataset(**voc.kwargs())


def test_size_neither_in_xml_nor_in_image(voc):
    voc.add('000001', size_xml='')
    voc.image_path('000001').write_bytes(b'no image')
    with pytest.raises(BadDataError, match=r'has no <size>, and .*000001\.jpg cannot be decoded'):
        CheckedVOCDataset(**voc.kwargs())


def test_object_without_name_and_odd_difficult(voc, obj):
    voc.add('000001', obj(''))
    voc.add('000002', obj('dog', difficult='Unspecified'))
    with pytest.raises(BadDataError) as error:
        CheckedVOCDataset(**voc.kwargs())
    assert [finding.reason for finding in error.value.problems] == [
        'an <object> has no <name>',
        "<difficult> of 'dog' must be 0 or 1, found 'Unspecified'",
    ]


def test_list_with_an_image_twice(voc, obj):
    voc.add('000001', obj('dog'))
    with voc.list_path().open('a') as ids:
        ids.write('000001\n')
    with pytest.raises(BadDataError, match=r"trainval.txt: lists '000001' 2 times"):
        CheckedVOCDataset(**voc.kwargs())


def test_list_without_images(voc):
    with pytest.raises(BadDataError, match=r'trainval.txt: lists no image'):
        CheckedVOCDataset(**voc.kwargs())


# Classes


def test_unknown_class_is_an_error(voc, obj):
    voc.add('000001', obj('dog'), obj('dogg'), obj('dogg'))
    with pytest.raises(BadDataError) as error:
        CheckedVOCDataset(metainfo=dict(classes=('dog', 'cat')), **voc.kwargs())
    text = str(error.value)
    assert "000001.xml: unknown class 'dogg'" in text
    assert "'dogg' (2 objects). Known are dog, cat." in text
    assert "unknown_class='ignore'" in text


def test_unknown_class_is_counted_when_ignored(voc, obj, warnings):
    voc.add('000001', obj('dog'), obj('emu'), obj('yak'))
    voc.add('000002', obj('emu'))
    dataset = CheckedVOCDataset(unknown_class='ignore', **voc.kwargs())
    assert dataset.ignored_classes == dict(emu=2, yak=1)
    assert [len(boxes_of(dataset, index)) for index in range(2)] == [1, 0]
    missing, ignored = warnings()
    assert "'emu' (2 objects), 'yak' (1 objects)" in ignored
    assert "holds no object of class 'aeroplane'," in missing and "but objects of 'emu', 'yak', not in" in missing


# Boxes, in an image of 40x30 pixels


@pytest.mark.parametrize(
    ('box', 'kept', 'reason'),
    [
        ((1, 1, 40, 30), [0, 0, 39, 29], None),
        ((10.9, 5.2, 20.7, 9.9), [9, 4, 19, 8], None),  # mmdet cuts fractions off
        ((7, 7, 8, 8), [6, 6, 7, 7], None),  # the smallest that has an area in mmdet
        ((0, 0, 39, 29), [0, 0, 38, 28], None),  # counted from 0
        ((1, 1, 41, 31), [0, 0, 39, 29], None),  # rounded up
        ((-5, 3, 20, 20), [0, 2, 19, 19], 'sticks out of the image of 40x30 pixels'),
        ((30, 20, 60, 90), [29, 19, 39, 29], 'sticks out of the image of 40x30 pixels'),
        ((50, 5, 60, 9), None, 'outside of the image of 40x30 pixels'),
        ((-9, -9, -1, -1), None, 'outside of the image of 40x30 pixels'),
        ((40, 5, 60, 9), None, 'outside of the image of 40x30 pixels'),  # 1 pixel: no area
        ((5, 5, 5, 9), None, 'has no area'),
        ((5, 9, 8, 9), None, 'has no area'),
        ((8, 5, 5, 9), None, 'is inverted'),
        ((5, 9, 8, 5), None, 'is inverted'),
        (('x', 5, 8, 9), None, 'is not numeric'),
        (('nan', 5, 8, 9), None, 'is not numeric'),
        ((5, 5, 'inf', 9), None, 'is not numeric'),
        ((5, 5, 8, ''), None, 'is not numeric'),
        ((5, 5, 8), None, 'is not numeric'),
        ((), None, 'is not numeric'),
    ],
)
def test_bad_box_goes_and_good_ones_stay(voc, obj, warnings, box, kept, reason):
    voc.add('000001', obj('cat', (2, 2, 9, 9)), obj('dog', box), obj('cow', (3, 3, 9, 9)))
    dataset = CheckedVOCDataset(**voc.kwargs())

    middle = [] if kept is None else [kept]
    assert boxes_of(dataset) == [[1, 1, 8, 8], *middle, [2, 2, 8, 8]]
    if reason is None:
        assert dataset.bad_boxes == [] and warnings() == []
    else:
        (finding,) = dataset.bad_boxes
        assert finding.path.endswith('000001.xml')
        assert finding.reason.startswith('dog: box') and reason in finding.reason
        (warning,) = warnings()
        assert '1 bad box(es)' in warning and '000001.xml' in warning


def test_bad_box_as_error(voc, obj):
    voc.add('000001', obj('dog', (5, 5, 5, 9)), obj('dog', (30, 20, 60, 90)))
    with pytest.raises(BadDataError, match='2 problem') as error:
        CheckedVOCDataset(bad_box='raise', **voc.kwargs())
    assert 'has no area' in str(error.value) and "bad_box='drop'" in str(error.value)


# Evaluation


@pytest.mark.parametrize(
    ('folder', 'classes', 'printed'),
    [
        ('VOC2007', None, 'aeroplane'),
        ('set', None, 'aeroplane'),
        ('VOC2007', ('RBC', 'dog'), 'RBC'),  # where mmdet prints VOC's names: aeroplane for RBC
        ('set', ('RBC', 'dog'), 'RBC'),
    ],
)
def test_voc_metric(make_voc, obj, logged, folder, classes, printed):
    """Two dogs and a difficult one; found: a dog and, with a higher score, the difficult one.

    Recall 1/2 at precision 1: six of the 11 points 0, 0.1, ..., 1 are reached, AP = 6/11. Were the
    difficult one a false positive, AP would be 3/11; were it an object to find, 7/11.
    """
    voc = make_voc('devkit', folder)
    boxes = [(1, 1, 10, 10), (12, 1, 20, 10), (22, 1, 30, 10)]
    voc.add('000001', *(obj('dog', box, difficult=int(box[0] == 12)) for box in boxes))
    dataset = CheckedVOCDataset(
        metainfo=classes and dict(classes=classes),
        pipeline=TEST_PIPELINE,
        test_mode=True,
        **voc.kwargs(),
    )
    sample = dataset[0]['data_samples']
    for instances in (sample.gt_instances, sample.ignored_instances):
        instances.bboxes = instances.bboxes.tensor  # as a detector's test step does
    assert len(sample.gt_instances) == 2 and len(sample.ignored_instances) == 1
    sample.pred_instances = InstanceData(
        bboxes=torch.tensor([[0.0, 0, 9, 9], [11, 0, 19, 9]]),
        scores=torch.tensor([0.8, 0.9]),
        labels=torch.full((2,), dataset.metainfo['classes'].index('dog')),
    )

    metric = VOCMetric(eval_mode='11points')
    metric.dataset_meta = dataset.metainfo
    metric.process({}, [sample.to_dict()])
    assert metric.evaluate(size=1)['pascal_voc/mAP'] == pytest.approx(6 / 11)
    table = logged[-1].getMessage()
    assert printed in table and ('aeroplane' in table) == (printed == 'aeroplane')


# Real data, where it is at hand


def test_bccd_has_two_boxes_without_area(real_set):
    root = real_set('bccd_320.tar.gz') / 'VOC2007'
    dataset = CheckedVOCDataset(
        data_root=str(root),
        ann_file='ImageSets/Main/trainval.txt',
        data_prefix=dict(sub_data_root=''),
        metainfo=dict(classes=('RBC', 'WBC', 'Platelets')),
    )
    assert len(dataset) == 292
    assert [finding.reason.split('] ')[1] for finding in dataset.bad_boxes] == ['has no area'] * 2


def test_voc07_is_read_as_mmdet_does(real_set):
    root = real_set('voc2007_224.tar.gz')
    kwargs = dict(
        data_root=str(root),
        ann_file='VOC2007/ImageSets/Main/test.txt',
        data_prefix=dict(sub_data_root='VOC2007/'),
        serialize_data=False,
    )
    ours = CheckedVOCDataset(**kwargs)
    assert ours.bad_boxes == []
    assert ours.data_list == VOCDataset(**kwargs).data_list
