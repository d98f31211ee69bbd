"""Two hundred damaged files: told before the training, or passed over in it with a warning; never a crash or a loss."""

import random

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image
from rich.console import Console

from slf_mmdet.datasets import BadDataError, CheckedVOCDataset
from slf_mmdet.datasets.check import check_config

NUM_FILES, SIZE, CLASSES = 200, (48, 36), ('dog', 'cat')
PIPELINE = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', scale=(32, 32), keep_ratio=False),
    dict(type='PackDetInputs'),
]
TEST_PIPELINE = [PIPELINE[i] for i in (0, 2, 1, 3)]  # the ground truth of an evaluation keeps its size


def flip(data, choose):
    data[choose.randrange(len(data))] ^= 1 << choose.randrange(8)


def overwrite(data, choose):
    for _ in range(choose.randrange(1, 8)):
        data[choose.randrange(len(data))] = choose.randrange(256)


def cut(data, choose):
    del data[choose.randrange(len(data)) :]


def leave_out(data, choose):
    start = choose.randrange(len(data))
    del data[start : start + choose.randrange(1, 20)]


def insert(data, choose):
    start = choose.randrange(len(data))
    data[start:start] = choose.randbytes(choose.randrange(1, 20))


def repeat(data, choose):
    start = choose.randrange(len(data))
    data[start:start] = data[start : start + 40]


def zero(data, choose):
    start = choose.randrange(len(data))
    data[start : start + 40] = bytes(len(data[start : start + 40]))


MUTATIONS = (flip, overwrite, cut, leave_out, insert, repeat, zero)


@pytest.fixture
def mutated(voc, obj):
    """A set in which every second image has one damaged file, xml or jpeg by turns; and the ids of the damaged ones."""
    choose = random.Random(0)
    smooth = np.add.outer(np.arange(SIZE[1]), np.arange(SIZE[0]))[..., None] * [1, 2, 3]
    damaged = dict(xml=[], jpg=[])
    for i in range(2 * NUM_FILES):
        image_id = f'{i:06d}'
        voc.add(image_id, obj('dog', (3, 4, 20, 20)), obj('cat', (10, 8, 40, 30), difficult=1), size=SIZE)
        Image.fromarray(smooth.astype('uint8')).save(voc.image_path(image_id))
        if i % 2:
            kind = 'xml' if i % 4 == 1 else 'jpg'
            path = voc.xml_path(image_id) if kind == 'xml' else voc.image_path(image_id)
            data = bytearray(path.read_bytes())
            choose.choice(MUTATIONS)(data, choose)
            path.write_bytes(data)
            damaged[kind].append(image_id)
    return voc, damaged


def dataset(voc, **settings):
    pipeline = TEST_PIPELINE if settings.get('test_mode') else PIPELINE
    return CheckedVOCDataset(**voc.kwargs(), metainfo=dict(classes=CLASSES), pipeline=pipeline, **settings)


def problems_of(voc, **settings):
    try:
        return [], dataset(voc, **settings)
    except BadDataError as error:
        return error.problems, None


def image_id(path):
    return path.rsplit('/', 1)[-1].split('.')[0]


def remove(voc, ids):
    lines = [line for line in voc.list_path().read_text().split() if line not in ids]
    voc.list_path().write_text('\n'.join(lines) + '\n')


def epoch(data):
    return [data[i] for i in range(len(data))]


def test_mutated_files(mutated):
    voc, damaged = mutated
    assert len(damaged['xml']) + len(damaged['jpg']) == NUM_FILES
    problems, _ = problems_of(voc)
    bad = {image_id(finding.path) for finding in problems}
    assert bad <= {*damaged['xml'], *damaged['jpg']} and len(bad) > NUM_FILES // 4
    remove(voc, bad)

    problems, data = problems_of(voc)
    assert problems == []
    # Nothing is lost without a word: of a file that nobody named, all objects are there
    told = {image_id(finding.path) for finding in data.bad_boxes}
    for i in range(len(data)):
        info = data.get_data_info(i)
        assert len(info['instances']) == 2 or info['img_id'] in told, info
        if info['img_id'] not in damaged['xml']:
            assert [instance['bbox'] for instance in info['instances']] == [[2, 3, 19, 19], [9, 7, 39, 29]]
    samples = epoch(data)
    assert len(samples) == len(data) and all(sample['inputs'].shape == (3, 32, 32) for sample in samples)


def test_no_epoch_of_an_evaluation_ends_at_an_image(mutated):
    voc, _ = mutated
    problems, _ = problems_of(voc, test_mode=True)
    bad = {image_id(finding.path) for finding in problems}
    assert any('cannot be decoded' in finding.reason for finding in problems)
    remove(voc, bad)
    samples = epoch(dataset(voc, test_mode=True))
    assert len(samples) == 2 * NUM_FILES - len(bad)
    assert {sample['data_samples'].img_id for sample in samples}.isdisjoint(bad)


def test_the_check_counts_and_lists_what_the_training_would_meet(mutated, capsys):
    voc, damaged = mutated
    leaf = dict(type='CheckedVOCDataset', **voc.kwargs(), metainfo=dict(classes=CLASSES), pipeline=PIPELINE)
    report = check_config(Config(dict(train_dataloader=dict(dataset=leaf))), progress=False)
    report.show(Console(width=200))
    shown = capsys.readouterr().out
    assert f'{len(report.problems)} problem(s) found' in shown
    bad = {image_id(finding.path) for finding in report.problems}
    assert bad <= {*damaged['xml'], *damaged['jpg']}
    assert all(f'{name}.' in shown for name in bad)
    remove(voc, bad)
    problems, data = problems_of(voc, bad_image='raise')
    assert problems == [] and data.bad_boxes == []
    assert len(epoch(data)) == 2 * NUM_FILES - len(bad)


def test_a_broken_training_image_is_replaced_and_named_once(voc, obj, monkeypatch):
    said = []
    monkeypatch.setattr('slf_mmdet.datasets.voc._warn', said.append)
    for name in ('000001', '000002'):
        voc.add(name, obj('dog'))
    voc.image_path('000002').write_text('no image')
    data = dataset(voc)
    for _ in range(2):
        assert [sample['data_samples'].img_id for sample in epoch(data)] == ['000001', '000001']
    (message,) = said
    assert '000002.jpg: image cannot be decoded; another image takes its place' in message
    with pytest.raises(BadDataError, match=r'000002\.jpg: image cannot be decoded'):
        dataset(voc, bad_image='raise')


def test_a_fault_of_the_pipeline_is_not_taken_for_one_of_the_image(voc, obj):
    voc.add('000001', obj('dog'))
    pipeline = [lambda results: results['nothing']]
    data = CheckedVOCDataset(**voc.kwargs(), metainfo=dict(classes=CLASSES), pipeline=pipeline)
    with pytest.raises(KeyError, match='nothing'):
        data[0]
