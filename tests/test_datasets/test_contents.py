"""VOC data that holds nothing: no object, none of a class, none that mmdet would find, no image after the filters."""

import pytest
from mmengine.config import Config

from slf_mmdet.datasets import BadDataError, CheckedVOCDataset
from slf_mmdet.datasets.check import check_before_training, check_config


def error_of(voc, **changed):
    with pytest.raises(BadDataError) as error:
        CheckedVOCDataset(**{**voc.kwargs(), **changed})
    return str(error.value)


def reasons(voc, kind='CheckedVOCDataset', **changed):
    cfg = Config(dict(train_dataloader=dict(dataset=dict(type=kind, **{**voc.kwargs(), **changed}))))
    return [finding.reason for finding in check_config(cfg, progress=False).problems]


def both(voc, reason, **changed):
    """Whether the start of a training and the check say it."""
    return reason in error_of(voc, **changed) and any(reason in found for found in reasons(voc, **changed))


def test_no_object(voc):
    voc.add('000001')
    voc.add('000002')
    assert both(voc, "holds not one object in its 2 image(s); the classes of the config are 'aeroplane', 'bicycle'")
    for more in (dict(test_mode=True), dict(allow_empty=True)):
        assert len(CheckedVOCDataset(**voc.kwargs(), **more)) == 2


def test_no_object_of_the_classes_but_of_others(voc, obj):
    voc.add('000001', obj('RBC'))
    changed = dict(metainfo=dict(classes=('rbc', 'wbc')), unknown_class='ignore')
    reason = "the classes of the config are 'rbc' (did you mean 'RBC'?), 'wbc'; those of the data are 'RBC'"
    assert both(voc, reason, **changed)
    voc.add('000002', obj('wbc'))
    (found,) = reasons(voc, **changed)
    assert "holds no object of class 'rbc' (did you mean 'RBC'?), but objects of 'RBC', not in the config" in found


def test_all_objects_are_difficult(voc, obj):
    voc.add('000001', obj('dog', difficult=1))
    CheckedVOCDataset(**voc.kwargs())  # a warning: they are ignored, not absent
    (reason,) = reasons(voc)
    assert 'holds not one object in its 1 image(s) but 1 that are ignored' in reason


def test_filters_that_take_everything(voc, obj):
    voc.add('000001', obj('dog'))
    voc.add('000002')
    filters = dict(filter_empty_gt=True, min_size=32, bbox_min_size=None)
    reason = 'filter_cfg leaves none of its 2 image(s): filter_empty_gt=True takes 1, min_size=32 takes 2'
    assert both(voc, reason, filter_cfg=filters)
    assert len(CheckedVOCDataset(**voc.kwargs(), filter_cfg=dict(filter_empty_gt=True, min_size=30))) == 1


@pytest.mark.parametrize(
    ('change', 'reason'),
    [
        (
            ('<annotation>', '<annotation xmlns="http://example.org/voc">'),
            "has 1 object(s) in the XML namespace 'http://example.org/voc', where mmdet does not find them: remove",
        ),
        (
            ('<object>', '<objects><object>', '</object>', '</object></objects>'),
            'has 1 object(s) inside <objects>, where mmdet does not find them: put <object> directly below',
        ),
    ],
)
def test_objects_that_mmdet_does_not_find(voc, obj, change, reason):
    voc.add('000001', obj('cat'))
    voc.add('000002', obj('dog'))
    text = voc.xml_path('000001').read_text()
    for old, new in zip(change[::2], change[1::2]):
        text = text.replace(old, new)
    voc.xml_path('000001').write_text(text)
    assert both(voc, reason)


@pytest.mark.parametrize(
    ('lines', 'reason'),
    [
        ('000001  1\n000002 -1\n', "has the line '000001  1', as the lists of one class of PASCAL VOC"),
        ('000001.jpg\n000002.jpg\n', "has the file name '000001.jpg': write image names without '.jpg'"),
        ('000001 \n000002\n', "has blanks around the image '000001 '"),
        ('\ufeff000001\n000002\n', 'begins with a byte order mark'),
    ],
)
def test_lines_of_the_list_that_are_no_image(voc, obj, lines, reason):
    voc.add('000001', obj('dog'))
    voc.add('000002', obj('dog'))
    voc.list_path().write_text(lines, encoding='utf-8')
    text = error_of(voc)
    assert reason in text and 'cannot be read' not in text
    assert any(reason in found for found in reasons(voc))


def test_images_of_another_extension(voc, obj):
    voc.add('000001', obj('dog'), suffix='.png')
    assert "Images are looked for as <id>.jpg: set img_suffix='.png'." in error_of(voc)


def test_data_set_of_mmdet_is_checked_before_training(voc, obj):
    voc.add('000001', obj('RBC'))
    cfg = Config(dict(train_dataloader=dict(dataset=dict(type='VOCDataset', **voc.kwargs()))))
    with pytest.raises(BadDataError, match='holds nothing to train on(.|\n)*holds not one object in its 1 image'):
        check_before_training(cfg)
    assert any('holds not one object' in found for found in reasons(voc, 'VOCDataset'))
    voc.add('000002', obj('dog'))
    check_before_training(cfg)


def test_data_of_other_kinds_is_left_alone():
    check_before_training(Config(dict(train_dataloader=dict(dataset=dict(type='CocoCaptionDataset', ann_file='x')))))
    check_before_training(Config(dict(model=dict(type='RetinaNet'))))
