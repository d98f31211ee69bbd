"""COCO json: what mmdet drops, misnumbers or fails on is said, when the data is loaded and by the check of a config."""

import copy
import json

import numpy as np
import pytest
from mmdet.datasets import CocoDataset
from mmengine.config import Config
from PIL import Image

from slf_mmdet.datasets import BadDataError, CheckedCocoDataset
from slf_mmdet.datasets.check import check_before_training, check_config

CLASSES = ('cat', 'dog')


def annotation(index, image, category, box=(5, 5, 10, 10), **more):
    return dict(id=index, image_id=image, category_id=category, bbox=list(box), area=box[2] * box[3], iscrowd=0, **more)


class CocoWriter:
    """A folder with two images of 40x30 pixels and a json that each test changes."""

    def __init__(self, root):
        self.root = root
        for name in ('a.png', 'b.png'):
            Image.fromarray(np.full((30, 40, 3), 90, np.uint8)).save(root / name)
        self.content = dict(
            images=[
                dict(id=index, file_name=name, width=40, height=30) for index, name in ((1, 'a.png'), (2, 'b.png'))
            ],
            categories=[dict(id=7, name='cat'), dict(id=9, name='dog')],
            annotations=[annotation(1, 1, 7), annotation(2, 2, 9)],
        )

    def kwargs(self, **changed):
        (self.root / 'a.json').write_text(json.dumps(self.content))
        base = dict(
            ann_file=str(self.root / 'a.json'), data_prefix=dict(img=f'{self.root}/'), metainfo=dict(classes=CLASSES)
        )
        return {**base, **changed}


@pytest.fixture
def coco(tmp_path):
    return CocoWriter(tmp_path)


def config(kind='CocoDataset', split='train', **kwargs):
    return Config({f'{split}_dataloader': dict(dataset=dict(type=kind, **kwargs))})


def reasons(cfg):
    return [finding.reason for finding in check_config(cfg, progress=False).problems]


def test_good_data_is_that_of_mmdet(coco):
    checked, plain = CheckedCocoDataset(**coco.kwargs()), CocoDataset(**coco.kwargs())
    assert [checked[index] for index in range(2)] == [plain[index] for index in range(2)]
    assert checked.bad_boxes == [] and reasons(config(**coco.kwargs())) == []
    check_before_training(config(**coco.kwargs()))


def put(section, index, **values):
    return lambda content: content[section][index].update(values)


FAULTS = {
    'a class is no category': (
        put('categories', 0, name='Cat'),
        "has no category 'cat', a class of the config (did you",
    ),
    'no category is a class': (
        lambda content: content['categories'].reverse(),
        "has its categories in the order ['dog', 'cat'], which mmdet numbers them in",
    ),
    'an image is listed twice': (put('images', 1, id=1), '1 id(s) of images are not unique: [1]'),
    'an annotation has no id': (lambda c: c['annotations'][0].pop('id'), '1 of annotations have no id'),
    'no image': (put('annotations', 0, image_id='1'), '1 annotation(s) have an image_id of no image, those of ids [1]'),
    'no category': (put('annotations', 1, category_id=8), '1 annotation(s) have a category_id of no category'),
    'no size': (lambda c: c['images'][0].pop('width'), 'the image of id 1 has no width'),
    'size 0': (put('images', 0, height=0), "the image 'a.png' must have a width and a height >= 1, found 40 x 0"),
    'no list': (
        lambda content: content.pop('categories'),
        "has no list 'categories'; it has ['annotations', 'images']",
    ),
    'no images': (lambda content: content['images'].clear(), 'lists no image'),
    'box of text': (
        put('annotations', 0, bbox=['1', 1, 5, 5]),
        'id 1 must have a bbox of four numbers, x, y, width and',
    ),
    'box of NaN': (put('annotations', 0, bbox=[1, float('nan'), 5, 5]), 'id 1 must have a bbox of four numbers'),
    'no area': (lambda content: content['annotations'][0].pop('area'), 'the annotation of id 1 must have an area'),
    'no object': (
        lambda content: content['annotations'].clear(),
        "holds not one object in its 2 image(s); the classes of the config are 'cat', 'dog'",
    ),
}


@pytest.mark.parametrize('fault', FAULTS)
def test_fault_is_raised_and_checked(coco, fault):
    change, reason = FAULTS[fault]
    change(coco.content)
    with pytest.raises(BadDataError) as error:
        CheckedCocoDataset(**coco.kwargs())
    assert reason in str(error.value) and str(coco.root / 'a.json') in str(error.value)
    for kind in ('CocoDataset', 'CheckedCocoDataset'):
        assert any(reason in found for found in reasons(config(kind, **coco.kwargs())))


DROPPED = {
    'narrow': (dict(bbox=[5, 5, 0.5, 9]), 'has a side of less than 1 pixel'),
    'outside': (dict(bbox=[41, 5, 9, 9]), 'is outside of the image of 40x30 pixels'),
    'flat area': (dict(area=0), 'has the area 0'),
    'flat polygon': (dict(segmentation=[0, 0, 10, 0, 10, 10]), 'a training with masks fails on it'),
    'polygon': (dict(segmentation=[[1, 1, 2, 2]]), 'has a segmentation without a polygon of three points or more'),
}


@pytest.mark.parametrize('fault', DROPPED)
def test_annotation_that_mmdet_drops(coco, fault, caplog):
    changed, reason = DROPPED[fault]
    coco.content['annotations'].append({**annotation(3, 1, 7), **changed})
    dataset = CheckedCocoDataset(**coco.kwargs())
    (finding,) = dataset.bad_boxes
    assert finding.path == 'a.png' and finding.reason.endswith(reason)
    if 'polygon' not in fault:  # those are dropped by the pipeline, where masks are loaded
        assert len(dataset.get_data_info(0)['instances']) == 1
    for kind in ('CocoDataset', 'CheckedCocoDataset'):
        assert [found.endswith(reason) for found in reasons(config(kind, **coco.kwargs()))] == [True]


def test_names_of_another_case_are_suggested(coco):
    # The reproduction of the fault: the json says RBC, the config rbc.
    coco.content['categories'] = [dict(id=7, name='RBC'), dict(id=9, name='WBC')]
    kwargs = coco.kwargs(metainfo=dict(classes=('rbc',)), filter_cfg=dict(filter_empty_gt=True))
    found = reasons(config(**kwargs))
    assert any("has no category 'rbc', a class of the config (did you mean 'RBC'?)" in reason for reason in found)
    with pytest.raises(BadDataError, match=r"train_dataloader holds nothing to train on(.|\n)*did you mean 'RBC'"):
        check_before_training(config(**kwargs))


def test_class_that_never_occurs_while_others_do(coco):
    coco.content['categories'].append(dict(id=11, name='doge'))
    coco.content['annotations'][1]['category_id'] = 11
    reason = "holds no object of class 'dog' (did you mean 'doge'?), but objects of 'doge', not in the config"
    assert any(reason in found for found in reasons(config(**coco.kwargs())))
    assert CheckedCocoDataset(**coco.kwargs()).ignored_classes == dict(doge=1)


def test_filter_that_takes_everything(coco):
    kwargs = coco.kwargs(filter_cfg=dict(filter_empty_gt=True, min_size=64))
    reason = 'leaves none of its 2 image(s): filter_empty_gt=True takes 0, min_size=64 takes 2'
    assert any(reason in found for found in reasons(config(**kwargs)))
    for fails in (lambda: CheckedCocoDataset(**kwargs), lambda: check_before_training(config(**kwargs))):
        with pytest.raises(BadDataError, match='min_size=64 takes 2'):
            fails()
    CheckedCocoDataset(**coco.kwargs(filter_cfg=dict(filter_empty_gt=True, min_size=30)))


def test_missing_files(coco):
    with pytest.raises(FileNotFoundError, match=r'nope.json does not exist: set data_root and ann_file'):
        CheckedCocoDataset(**coco.kwargs(ann_file='nope.json'))
    (coco.root / 'b.png').unlink()
    with pytest.raises(BadDataError, match='b.png: image does not exist'):
        CheckedCocoDataset(**coco.kwargs())
    with pytest.raises(BadDataError, match=r"none of its 2 images exists: data_prefix=dict\(img='elsewhere/'\) makes"):
        CheckedCocoDataset(**coco.kwargs(data_prefix=dict(img='elsewhere/')))


@pytest.mark.parametrize('text', ['', '{"images": [', '[]', 'null'])
def test_file_that_is_no_coco_json(coco, text):
    kwargs = coco.kwargs()
    (coco.root / 'a.json').write_text(text)
    with pytest.raises(BadDataError, match="is not json|has no list 'images'"):
        CheckedCocoDataset(**kwargs)
    assert reasons(config(**kwargs))


def test_prefix_of_images_is_missing(coco):
    kwargs = coco.kwargs(data_prefix=dict(img_path='here/'))
    reason = 'needs data_prefix=dict(img=...), the folder of images; found img_path'
    assert reasons(config(**kwargs))[0] == reason
    with pytest.raises(BadDataError) as error:
        CheckedCocoDataset(**kwargs)
    assert reason in str(error.value)


def test_classes_as_one_string(coco):
    with pytest.raises(ValueError, match=r"must be a tuple of names, found the string 'cat'.*\('cat',\)"):
        CheckedCocoDataset(**coco.kwargs(metainfo=dict(classes='cat')))


def test_empty_data_is_fine_where_it_is_meant(coco):
    coco.content['annotations'] = []
    for more in (dict(allow_empty=True), dict(test_mode=True)):
        assert len(CheckedCocoDataset(**coco.kwargs(**more))) == 2
    del coco.content['annotations']  # as in COCO's own test sets
    assert len(CheckedCocoDataset(**coco.kwargs(test_mode=True))) == 2


def test_one_empty_part_of_several_may_train(coco, tmp_path):
    full = coco.kwargs()
    (tmp_path / 'empty').mkdir()
    empty = CocoWriter(tmp_path / 'empty')
    empty.content['annotations'] = []
    both = Config(
        dict(
            train_dataloader=dict(
                dataset=dict(
                    type='ConcatDataset',
                    datasets=[dict(type='CocoDataset', **full), dict(type='CocoDataset', **empty.kwargs())],
                )
            )
        )
    )
    check_before_training(both)
    del both.train_dataloader.dataset.datasets[0]
    with pytest.raises(BadDataError, match='holds not one object'):
        check_before_training(both)


def test_images_are_decoded_and_measured(coco):
    coco.content['images'][0]['width'] = 20
    (coco.root / 'b.png').write_bytes(b'no image')
    found = reasons(config(**coco.kwargs()))
    assert [reason.split(' (')[0].split(':')[0] for reason in found] == [
        'image has 40x30 pixels, its annotation says 20x30',
        'image cannot be decoded',
    ]


def test_other_formats_of_json_are_left_to_mmdet(coco):
    # LVIS names its files by coco_url, Objects365 sorts its categories
    coco.content['categories'].reverse()
    cfg = config('Objects365V2Dataset', **coco.kwargs())
    assert reasons(cfg) == []


def test_content_is_not_changed_by_the_check(coco):
    before = copy.deepcopy(coco.content)
    reasons(config(**coco.kwargs()))
    assert json.loads((coco.root / 'a.json').read_text()) == before
