"""The digits-VOC set: its layout, that it is always the same, and that it is never half there."""

import hashlib
import json

import cv2
import numpy as np
import pytest
from sklearn.datasets import load_digits

from slf_mmdet.datasets import CheckedCocoDataset, CheckedVOCDataset, digits_drawing, digits_voc
from slf_mmdet.datasets.digits_drawing import draw_image
from slf_mmdet.datasets.digits_voc import DIGIT_CLASSES, build_digits_voc, split_scans

SMALL = dict(num_train=6, num_test=4, image_size=64, digit_size=(18, 40), progress=False)
TOOL = 'dataset_converters/digits_voc.py'


def read(out, split):
    return CheckedVOCDataset(
        data_root=str(out / 'VOCdevkit'),
        ann_file=f'VOC2007/ImageSets/Main/{split}.txt',
        data_prefix=dict(sub_data_root='VOC2007/'),
        metainfo=dict(classes=DIGIT_CLASSES),
        serialize_data=False,
    )


def hashes(out):
    return {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in out.rglob('*')
        if path.is_file()
    }


def test_is_a_good_voc_set(tmp_path):
    out = build_digits_voc(tmp_path / 'set', **SMALL)
    for split, number in (('trainval', 6), ('test', 4)):
        dataset = read(out, split)
        assert len(dataset) == number and dataset.bad_boxes == []
        for info in dataset.data_list:
            assert (info['width'], info['height']) == (64, 64)
            assert 1 <= len(info['instances']) <= 4
            for instance in info['instances']:
                x1, y1, x2, y2 = instance['bbox']
                assert 0 <= x1 < x2 <= 63 and 0 <= y1 < y2 <= 63
    names = {path.stem for path in out.rglob('*.jpg')}
    assert names == {path.stem for path in out.rglob('*.xml')} and len(names) == 10


def test_boxes_and_names_are_those_of_what_was_drawn(tmp_path, monkeypatch):
    scans = load_digits()
    label_of = {scan.tobytes(): label for scan, label in zip(scans.images, scans.target)}
    drawings = []

    def draw_and_note(picked, *args):
        image, drawn = draw_image(picked, *args)
        drawings.append([(label_of[picked[i].tobytes()], list(box)) for i, box, _ in drawn])
        return image, drawn

    monkeypatch.setattr(digits_voc, 'draw_image', draw_and_note)
    out = build_digits_voc(tmp_path / 'set', **SMALL)
    infos = read(out, 'trainval').data_list + read(out, 'test').data_list
    found = [[(i['bbox_label'], i['bbox']) for i in info['instances']] for info in infos]
    assert found == drawings


def test_same_seed_same_bytes(tmp_path):
    first = hashes(build_digits_voc(tmp_path / 'a', **SMALL))
    assert hashes(build_digits_voc(tmp_path / 'b', **SMALL)) == first
    other = hashes(build_digits_voc(tmp_path / 'c', seed=1, **SMALL))
    image = 'VOCdevkit/VOC2007/JPEGImages/000001.jpg'
    assert other.keys() == first.keys() and other[image] != first[image]


def test_an_image_does_not_depend_on_how_many_there_are(tmp_path):
    few = hashes(build_digits_voc(tmp_path / 'few', **SMALL))
    more = hashes(build_digits_voc(tmp_path / 'more', **{**SMALL, 'num_train': 8}))
    for index in range(1, 7):
        image = f'VOCdevkit/VOC2007/JPEGImages/{index:06d}.jpg'
        assert few[image] == more[image]


def test_train_and_test_show_different_scans(tmp_path, monkeypatch):
    train, test = set(split_scans('trainval')), set(split_scans('test'))
    assert train.isdisjoint(test) and len(train | test) == len(load_digits().target)

    # Relabel the scans by their split: each label must only be found in its own.
    scans = load_digits()
    scans.target = np.array([int(index in test) for index in range(len(scans.target))])
    monkeypatch.setattr(digits_voc, 'load_digits', lambda: scans)
    out = build_digits_voc(tmp_path / 'set', **SMALL)
    for label, split in enumerate(('trainval', 'test')):
        instances = [i for info in read(out, split).data_list for i in info['instances']]
        assert {instance['bbox_label'] for instance in instances} == {label}


def test_boxes_are_tight_and_apart(monkeypatch):
    scans = load_digits().images
    flat = np.full((96, 96, 3), 128, np.float32)
    monkeypatch.setattr(digits_drawing, '_draw_background', lambda size, rng: flat.copy())
    for seed in range(30):
        picked = scans[seed * 4 : seed * 4 + 4]
        image, drawn = draw_image(picked, 96, (18, 40), np.random.default_rng(seed))
        assert drawn and drawn[0][0] == 0  # the first digit always finds a place
        positions = [digit.position for digit in drawn]
        assert positions == sorted(set(positions))
        # The noise of a grey level is below 5; ink differs by 60 and more where it is full.
        ink = np.abs(image.mean(axis=2) - 128) > 30
        covered = np.zeros_like(ink, dtype=int)
        for _, (x1, y1, x2, y2), mask in drawn:
            assert (mask == ink[y1 : y2 + 1, x1 : x2 + 1]).mean() > 0.85  # they differ at edges alone
            covered[y1 : y2 + 1, x1 : x2 + 1] += 1
            rows, columns = np.nonzero(ink[y1 : y2 + 1, x1 : x2 + 1])
            found = columns.min() + x1, rows.min() + y1, columns.max() + x1, rows.max() + y1
            np.testing.assert_allclose(found, (x1, y1, x2, y2), atol=2)
        assert covered.max() == 1
        assert not ink[covered == 0].any()


def coco(out, split, **settings):
    return CheckedCocoDataset(
        data_root=str(out),
        ann_file=f'annotations/instances_{split}.json',
        data_prefix=dict(img='VOCdevkit/VOC2007/JPEGImages/'),
        metainfo=dict(classes=DIGIT_CLASSES),
        serialize_data=False,
        **settings,
    )


def test_masks_are_those_of_the_boxes(tmp_path):
    """The same digits as VOC xml, as COCO json and as a map of classes."""
    out = build_digits_voc(tmp_path / 'set', **SMALL)
    pipeline = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_bbox=True, with_mask=True)]
    for split in ('trainval', 'test'):
        boxes, masks = read(out, split), coco(out, split, pipeline=pipeline)
        assert len(boxes) == len(masks) and masks.bad_boxes == []
        for index, info in enumerate(boxes.data_list):
            sample = masks[index]
            assert sample['img_path'] == info['img_path'] and (sample['height'], sample['width']) == (64, 64)
            assert sample['gt_bboxes_labels'].tolist() == [each['bbox_label'] for each in info['instances']]
            # VOC's boxes end at the last pixel, as mmdet reads them; COCO's behind it
            corners = np.array([each['bbox'] for each in info['instances']]) + [0, 0, 1, 1]
            assert sample['gt_bboxes'].tensor.tolist() == corners.tolist()
            name = info['img_path'].replace('JPEGImages', 'SegmentationClass').replace('.jpg', '.png')
            classes = cv2.imread(name, cv2.IMREAD_UNCHANGED)
            expected = np.zeros((64, 64), int)
            for label, mask, (x1, y1, x2, y2) in zip(sample['gt_bboxes_labels'], sample['gt_masks'].masks, corners):
                rows, columns = np.nonzero(mask)
                assert (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) == (x1, y1, x2, y2)
                expected[mask.astype(bool)] = label + 1
            assert (classes == expected).all()


def as_version_0_2(out):
    """Makes a set what that version built."""
    for folder in (out / 'annotations', out / 'VOCdevkit/VOC2007/SegmentationClass'):
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
    record = json.loads((out / 'digits_voc.json').read_text())
    (out / 'digits_voc.json').write_text(json.dumps({**record, 'format_version': 1}))


def test_masks_are_added_to_a_set_without(tmp_path):
    out = build_digits_voc(tmp_path / 'set', **SMALL)
    complete = hashes(out)
    as_version_0_2(out)
    image = out / 'VOCdevkit/VOC2007/JPEGImages/000001.jpg'
    before = image.stat().st_ino, image.stat().st_mtime_ns
    assert build_digits_voc(out, **SMALL) == out and hashes(out) == complete
    assert (image.stat().st_ino, image.stat().st_mtime_ns) == before  # not replaced: somebody may be training on it
    assert list(tmp_path.iterdir()) == [out]


def test_masks_are_not_added_to_other_images(tmp_path):
    out = build_digits_voc(tmp_path / 'set', **SMALL)
    as_version_0_2(out)
    (out / 'VOCdevkit/VOC2007/JPEGImages/000002.jpg').write_bytes(b'1')
    with pytest.raises(FileExistsError, match='1 of 10 images differ.*overwrite=True'):
        build_digits_voc(out, **SMALL)
    assert not (out / 'annotations').exists()
    build_digits_voc(out, overwrite=True, **SMALL)
    assert (out / 'annotations').is_dir() and list(tmp_path.iterdir()) == [out]


def test_stopped_build_leaves_nothing(tmp_path, monkeypatch):
    calls = []

    def draw_three(*args):
        calls.append(args)
        if len(calls) > 3:
            raise KeyboardInterrupt
        return draw_image(*args)

    monkeypatch.setattr(digits_voc, 'draw_image', draw_three)
    with pytest.raises(KeyboardInterrupt):
        build_digits_voc(tmp_path / 'set', **SMALL)
    assert len(calls) == 4 and list(tmp_path.iterdir()) == []


def test_same_set_is_kept(tmp_path, monkeypatch):
    out = build_digits_voc(tmp_path / 'set', **SMALL)
    monkeypatch.setattr(digits_voc, 'draw_image', None)  # nothing may be drawn again
    assert build_digits_voc(out, **SMALL) == out
    assert build_digits_voc(out, overwrite=True, **SMALL) == out


def test_other_set_is_replaced_only_on_request(tmp_path):
    out = build_digits_voc(tmp_path / 'set', **SMALL)
    other = {**SMALL, 'num_train': 7}
    with pytest.raises(FileExistsError, match=r'num_train=6 \(asked for: 7\).*overwrite=True'):
        build_digits_voc(out, **other)
    assert len(read(out, 'trainval')) == 6
    build_digits_voc(out, overwrite=True, **other)
    assert len(read(out, 'trainval')) == 7
    assert list(tmp_path.iterdir()) == [out]


def test_foreign_folder_is_never_touched(tmp_path):
    (tmp_path / 'photos').mkdir()
    (tmp_path / 'photos' / 'dear.jpg').write_bytes(b'1')
    with pytest.raises(FileExistsError, match='is not a digits-VOC set'):
        build_digits_voc(tmp_path / 'photos', overwrite=True, **SMALL)
    assert (tmp_path / 'photos' / 'dear.jpg').read_bytes() == b'1'


def test_empty_folder_is_used(tmp_path):
    (tmp_path / 'set').mkdir()
    assert len(read(build_digits_voc(tmp_path / 'set', **SMALL), 'test')) == 4


@pytest.mark.parametrize(
    ('changed', 'message'),
    [
        (dict(num_train=0), 'num_train must be an integer >= 1, found 0'),
        (dict(num_test=2.5), 'num_test must be an integer >= 1, found 2.5'),
        (dict(seed=-1), 'seed must be an integer >= 0, found -1'),
        (dict(max_digits=0), 'max_digits must be an integer >= 1, found 0'),
        (dict(digit_size=(18, 60)), r'largest <= 48 \(3/4 of image_size\), found \(18, 60\)'),
        (dict(digit_size=(30, 20)), r'found \(30, 20\)'),
    ],
)
def test_parameters_are_checked(tmp_path, changed, message):
    with pytest.raises(ValueError, match=message):
        build_digits_voc(tmp_path / 'set', **{**SMALL, **changed})
    assert list(tmp_path.iterdir()) == []


def test_command_line(tmp_path, run_tool):
    def run(*options, check=True):
        return run_tool(TOOL, '--out', tmp_path / 'set', '--num-test', '2', *options, check=check)

    run('--num-train', '3')
    assert len(read(tmp_path / 'set', 'trainval')) == 3
    done = run('--num-train', '4', check=False)
    assert done.returncode == 1 and 'digits_voc: ' in done.stdout and '--overwrite' in done.stdout
    assert len(read(tmp_path / 'set', 'trainval')) == 3
    run('--num-train', '4', '--overwrite')
    assert len(read(tmp_path / 'set', 'trainval')) == 4
    assert len(read(tmp_path / 'set', 'trainval')) == 4
