"""The check of a config's data: what it counts, and each kind of problem that it must find."""

from pathlib import Path

import pytest
from mmengine.config import Config
from PIL import Image
from rich.console import Console

from slf_mmdet.datasets.check import check_config

TOOL = 'analysis_tools/check_dataset.py'


def leaf(voc, split, **changed):
    return dict(type='CheckedVOCDataset', **{**voc.kwargs(split), **changed})


def config(voc, model=None, **train):
    test = dict(dataset=leaf(voc, 'test'))
    return Config(
        dict(
            train_dataloader=dict(dataset=leaf(voc, 'trainval', **train)),
            val_dataloader=test,
            test_dataloader=test,
            **(dict(model=model) if model else {}),
        )
    )


def check(cfg, *splits):
    return check_config(cfg, splits or ('train', 'val', 'test'), progress=False)


def reasons(cfg):
    return [finding.reason for finding in check(cfg).problems]


@pytest.fixture
def good(voc, obj):
    voc.add('000001', obj('dog'), obj('dog', difficult=1), obj('cat'))
    voc.add('000002', obj('cow'))
    voc.add('000003')
    voc.add('000004', obj('dog'), split='test')
    return voc


def test_counts(good):
    train, val, test = check(config(good, filter_cfg=dict(filter_empty_gt=True))).splits
    assert (train.name, val.name, test.name) == ('train', 'val', 'test')
    assert len(train.images) == 3 and train.num_negatives == 1 and train.num_difficult == 1
    assert train.objects == dict(dog=2, cat=1, cow=1) and test.objects == dict(dog=1)
    assert check(config(good)).problems == []


def test_only_the_splits_asked_for(good):
    good.image_path('000001').write_bytes(b'')
    assert check(config(good), 'val').problems == []
    assert [split.name for split in check(config(good), 'train', 'test').splits] == [
        'train',
        'test',
    ]


def test_missing_dataloader_is_passed_over(good):
    cfg = config(good)
    cfg.val_dataloader = None
    assert [split.name for split in check(cfg).splits] == ['train', 'test']


def test_wrappers_are_opened(good, make_voc, obj):
    other = make_voc('other', 'VOC2012')
    other.add('2008_000001', obj('person'))
    cfg = config(good)
    parts = [leaf(good, 'trainval'), leaf(other, 'trainval')]
    cfg.train_dataloader.dataset = dict(
        type='RepeatDataset', times=3, dataset=dict(type='ConcatDataset', datasets=parts)
    )
    train = check(cfg).splits[0]
    assert len(train.images) == 4 and train.objects['person'] == 1


def test_truncated_image(good):
    data = good.image_path('000001').read_bytes()
    good.image_path('000001').write_bytes(data[: len(data) // 2])
    (reason,) = reasons(config(good))
    assert reason.startswith('image cannot be decoded (') and 'truncated' in reason


def test_file_that_is_no_image(good):
    good.image_path('000002').write_text('<html>404</html>')
    assert ['cannot identify image file' in reason for reason in reasons(config(good))] == [True]


def test_size_of_image_and_annotation(voc, obj):
    voc.add('000004', obj('dog'), split='test')
    size_xml = '<size><width>80</width><height>60</height></size>'
    voc.add('000001', obj('dog'), size=(40, 30), size_xml=size_xml)
    (reason,) = reasons(config(voc))
    assert reason.startswith('image has 40x30 pixels, its annotation says 80x60')


def test_turned_photo_has_the_size_that_the_pipeline_sees(voc, obj):
    # Orientation 6: stored 40x30, shown (and decoded by OpenCV) as 30x40.
    voc.add('000004', obj('dog'), split='test')
    voc.add('000001', obj('dog'), size_xml='<size><width>30</width><height>40</height></size>')
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(voc.image_path('000001')) as image:
        image.save(voc.image_path('000001'), exif=exif)
    assert reasons(config(voc)) == []


def test_problems_of_all_kinds_are_found_in_one_go(good, obj):
    good.xml_path('000001').unlink()
    good.add('000005', obj('dogg'), obj('dog', (5, 5, 5, 9)))
    good.image_path('000002').write_bytes(b'no image')
    good.image_path('000004').unlink()  # of val and of test, which are the same data
    found = sorted(f'{Path(f.path).name}: {f.reason}' for f in check(config(good)).problems)
    assert [text.split(' (')[0] for text in found] == [
        '000001.xml: cannot be read',
        '000002.jpg: image cannot be decoded',
        '000004.jpg: image cannot be read',
        '000005.xml: dog: box [5, 5, 5, 9] has no area',
        "000005.xml: unknown class 'dogg'",
    ]


@pytest.mark.parametrize('bad_box', ['drop', 'raise'])
def test_bad_box_is_a_problem_once(good, obj, bad_box):
    good.add('000005', obj('dog', (5, 5, 5, 9)))
    assert reasons(config(good, bad_box=bad_box)) == ['dog: box [5, 5, 5, 9] has no area']


def test_image_in_training_and_in_test(good):
    with good.list_path('test').open('a') as ids:
        ids.write('000002\n')
    (finding,) = check(config(good)).problems
    assert finding.path.endswith('000002.jpg')
    assert finding.reason == 'is used for training and for val and test'


def test_classes_of_train_and_test(good):
    cfg = config(good)
    cfg.test_dataloader.dataset.metainfo = dict(classes=('dog', 'cat'))
    (finding,) = check(cfg).problems
    assert finding.path == 'test_dataloader'
    assert "its classes ('dog', 'cat') are not those of train" in finding.reason


@pytest.mark.parametrize(
    ('model', 'key'),
    [
        (dict(bbox_head=dict(num_classes=10)), 'model.bbox_head'),
        (
            dict(type='BalancedDetector', detector=dict(bbox_head=dict(num_classes=10))),
            'model.detector.bbox_head',
        ),
        (
            dict(roi_head=dict(bbox_head=[dict(num_classes=20), dict(num_classes=10)])),
            'model.roi_head.bbox_head[1]',
        ),
    ],
)
def test_num_classes(good, model, key):
    found = check(config(good, model), 'train').problems
    assert [finding.path for finding in found] == [f'{key}.num_classes']
    assert found[0].reason.startswith('is 10, but train_dataloader has 20 classes')


def test_num_classes_that_fits(good):
    backbone = dict(num_classes=1000)  # of its ImageNet head
    model = dict(backbone=backbone, bbox_head=dict(num_classes=20))
    assert reasons(config(good, model)) == []


def test_table(good):
    console = Console(record=True, width=100, quiet=True)
    good.image_path('000002').write_bytes(b'no image')
    report = check(config(good))
    with console.capture() as printed:
        console.quiet = False
        report.show(console)
    rows = [line.replace('│', ' ').split() for line in printed.get().splitlines()]
    assert ['images', '3', '1', '1'] in rows
    assert ['dog', '2', '1', '1'] in rows
    assert ['problems', '1', '0', '0'] in rows
    assert '000002.jpg: image cannot be decoded' in printed.get()


@pytest.fixture
def check_tool(good, tmp_path, run_tool):
    def run(data_root):
        config(good, data_root='nowhere/').dump(tmp_path / 'config.py')
        option = f'train_dataloader.dataset.data_root={data_root}'
        done = run_tool(TOOL, tmp_path / 'config.py', '--cfg-options', option, check=False)
        return done.returncode, done.stdout

    return run


def test_exit_code(good, check_tool):
    code, printed = check_tool(good.root)
    assert code == 0 and '0 problem(s) found' in printed
    good.image_path('000001').write_bytes(good.image_path('000001').read_bytes()[:400])
    code, printed = check_tool(good.root)
    assert code == 1 and '1 problem(s) found' in printed


def test_missing_folder(check_tool):
    code, printed = check_tool('elsewhere/')
    assert code == 1 and "'elsewhere/' does not exist (config key 'data_root'" in printed


def test_parts_of_a_split_share_no_image(good):
    split = dict(type='HeldOutSplit', dataset=leaf(good, 'trainval'), share=0.3)
    cfg = config(good)
    cfg.train_dataloader.dataset = dict(split, part='train')
    cfg.val_dataloader.dataset = dict(split, part='held_out')
    report = check(cfg, 'train', 'val')
    assert [len(each.images) for each in report.splits] == [2, 1]
    assert not [finding for finding in report.problems if 'is used for training and for' in finding.reason]
    cfg.val_dataloader.dataset = leaf(good, 'trainval')
    assert len([f for f in check(cfg, 'train', 'val').problems if 'is used for training and for' in f.reason]) == 2


@pytest.mark.parametrize('order', [1, -1])
def test_members_of_other_classes_are_counted_by_their_own_names(good, order):
    fewer = leaf(good, 'trainval', metainfo=dict(classes=('cow', 'dog', 'cat')))
    cfg = config(good)
    members = [leaf(good, 'trainval'), fewer][::order]
    cfg.train_dataloader.dataset = dict(type='ConcatDataset', datasets=members)
    report = check(cfg, 'train')
    assert report.splits[0].objects == dict(dog=4, cat=2, cow=2)
    assert any('but a data set before it' in finding.reason for finding in report.problems)


def test_other_tasks_are_refused_by_name():
    text = dict(type='ParallelTextDataset', data_root='nowhere', source_file='a', target_file='b')
    with pytest.raises(ValueError, match='train_dataloader: ParallelTextDataset is not a data set of detection'):
        check(Config(dict(train_dataloader=dict(dataset=text))), 'train')
