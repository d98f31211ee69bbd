"""The table, against values worked out by hand."""

import csv
import json

import pytest
from helpers import DIGITS_SLF
from mmengine.config import Config
from rich.console import Console

from slf_mmdet.comparison import Plan, Report, parse_column
from slf_mmdet.comparison.report import confidence_interval, shared_values


@pytest.fixture
def plan(tmp_path):
    plan = Plan(Config.fromfile(DIGITS_SLF), [parse_column('static'), parse_column('slf')], [0, 1, 2], tmp_path)
    plan.prepare()
    return plan


def finish(plan, label, seed, value, seconds=0.1, fingerprint='same', **metrics):
    (cell,) = (cell for cell in plan.cells if cell.column.label == label and cell.seed == seed)
    metrics = {'pascal_voc/AP50': 0.0, 'pascal_voc/mAP': value, **metrics}
    result = dict(val={'pascal_voc/mAP': 0.0}, test=metrics, seconds_per_iter=seconds, seconds=9.0, iters=5)
    (cell.folder / 'result.json').write_text(json.dumps(dict(result, fingerprint=fingerprint)))


def finish_all(plan):
    for seed, (static, slf) in enumerate([(0.70, 0.71), (0.72, 0.75), (0.68, 0.70)]):
        finish(plan, 'static', seed, static)
        finish(plan, 'slf', seed, slf, seconds=0.11)


def test_confidence_interval():
    # differences 1, 3, 2: mean 2, standard deviation 1, t(0.975, 2) = 4.302653, half width 4.302653 / sqrt(3)
    assert confidence_interval([1, 3, 2]) == pytest.approx((2 - 2.484138, 2 + 2.484138), abs=1e-6)
    assert confidence_interval([1]) is None


def test_rows(plan):
    finish_all(plan)
    static, slf = Report(plan).rows
    assert static.mean == pytest.approx(70) and static.spread == pytest.approx(2)
    assert static.differences == {} and static.interval is None and static.overhead is None
    assert slf.mean == pytest.approx(72)
    assert slf.differences == pytest.approx({0: 1, 1: 3, 2: 2})
    assert slf.interval == pytest.approx((-0.484138, 4.484138), abs=1e-5)
    assert slf.overhead == pytest.approx(1.1)


def test_only_pairs_are_compared(plan):
    finish(plan, 'static', 0, 0.5)
    finish(plan, 'slf', 0, 0.6)
    finish(plan, 'slf', 1, 0.9)
    slf = Report(plan).rows[1]
    assert slf.differences == pytest.approx({0: 10}) and slf.interval is None and slf.mean == pytest.approx(75)


def test_files(plan):
    finish_all(plan)
    markdown, table, picture = Report(plan).save()
    text = markdown.read_text()
    assert '| slf | 72.00 ± 2.65 | 3 | +2.00 | -0.48 to +4.48 | 0.1100 | x1.10 |' in text
    lines = list(csv.DictReader(table.open()))
    assert len(lines) == 6
    assert lines[0]['column'] == 'static' and float(lines[0]['pascal_voc/mAP']) == 0.7
    assert picture.stat().st_size > 5000


def test_runs_that_were_fed_otherwise_are_named(plan):
    finish_all(plan)
    assert Report(plan).unpaired() == []
    finish(plan, 'slf', 1, 0.7, fingerprint='other')
    finish(plan, 'slf', 2, 0.7, fingerprint=None)  # resumed: nothing is known
    (warning,) = Report(plan).unpaired()
    assert warning == 'slf did not see the same images in the same order as static: seeds [1]'
    console = Console(record=True, width=200)
    Report(plan).show(console)
    assert 'not paired: slf did not see' in console.export_text()


def test_runs_that_began_with_another_network_are_named(plan):
    finish_all(plan)
    network = dict(weight=[990, 'a'], bias=[10, 'b'])
    others = [dict(weight=[990, 'a']), dict(weight=[990, 'c'], bias=[10, 'b']), dict(kernel=[990, 'a'])]
    for seed, other in enumerate(others):
        for label, start in (('static', network), ('slf', other)):
            (plan.work_dir / label / f'seed_{seed}' / 'start.json').write_text(json.dumps(start))
    # seed 0 lacks a bias only: 990 of 1000 values in common; seed 1 has 10 of 1000, seed 2 none
    assert Report(plan).unpaired() == ['slf did not begin with the network of static, of which it had 1%: seeds [1, 2]']


def test_a_smaller_network_is_another_one():
    small, large = dict(a=[10, 'x']), dict(a=[10, 'x'], b=[90, 'y'])
    assert shared_values(small, large) == shared_values(large, small) == pytest.approx(0.1)
    assert shared_values(small, {}) == 1  # nothing is known


@pytest.mark.parametrize(
    ('metric', 'value', 'shown', 'title'),
    [
        ('accuracy/top1', 98.519, '98.52', 'accuracy/top1 [%]'),  # mmpretrain's are in percent
        ('multi-label/mAP', 61.5, '61.50', 'multi-label/mAP [%]'),
        ('coco/bbox_mAP_50', 0.617, '61.70', 'coco/bbox_mAP_50 [%]'),
        ('pascal_voc/AP50', 0.617, '61.70', 'pascal_voc/AP50 [%]'),
        ('mapped', 0.617, '0.62', 'mapped'),
    ],
)
def test_metrics_are_shown_in_percent(plan, metric, value, shown, title):
    finish(plan, 'static', 0, 0.5, **{metric: value})
    header, line = Report(plan, metric=metric).cells()
    assert (header[1], line[1]) == (title, shown)


def test_default_metric_of_a_classification(plan):
    finish(plan, 'static', 0, 0.5)
    path = plan.cells[0].folder / 'result.json'
    path.write_text(
        json.dumps({**json.loads(path.read_text()), 'test': {'accuracy/top1': 98.5, 'accuracy/top5': 99.9}})
    )
    assert Report(plan).metric == 'accuracy/top1'


def test_other_metric_and_split(plan):
    finish_all(plan)
    finish(plan, 'static', 0, 0.7, loss=3.5)
    assert Report(plan, split='val').rows[0].mean == 0
    report = Report(plan, metric='loss')
    assert report.rows[0].values == {0: 3.5} and len(report.rows) == 1  # no percentage, and only who has it
    with pytest.raises(ValueError, match=r"metric 'map' was not measured; there are \['pascal_voc/AP50'"):
        Report(plan, metric='map')


def test_nothing_to_report(plan):
    with pytest.raises(ValueError, match='no run is finished yet'):
        Report(plan)
