"""The table, against values worked out by hand."""

import csv
import itertools
import json
import math
import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.config import Config
from rich.console import Console

from slf_mmdet.comparison import Experiment, Report, parse_arm
from slf_mmdet.comparison.report import _of_detections, confidence_interval, shared_values

from ..helpers import DIGITS_SLF


@pytest.fixture
def experiment(tmp_path):
    experiment = Experiment(Config.fromfile(DIGITS_SLF), [parse_arm('static'), parse_arm('slf')], [0, 1, 2], tmp_path)
    experiment.prepare()
    return experiment


def finish(experiment, label, seed, value, seconds=0.1, fingerprint='same', **metrics):
    (run,) = (run for run in experiment.runs if run.arm.label == label and run.seed == seed)
    metrics = {'pascal_voc/AP50': 0.0, 'pascal_voc/mAP': value, **metrics}
    result = dict(val={'pascal_voc/mAP': 0.0}, test=metrics, seconds_per_iter=seconds, seconds=9.0, iters=5)
    (run.folder / 'result.json').write_text(json.dumps(dict(result, fingerprint=fingerprint)))


def finish_all(experiment):
    for seed, (static, slf) in enumerate([(0.70, 0.71), (0.72, 0.75), (0.68, 0.70)]):
        finish(experiment, 'static', seed, static)
        finish(experiment, 'slf', seed, slf, seconds=0.11)


def test_confidence_interval():
    # differences 1, 3, 2: mean 2, standard deviation 1, t(0.975, 2) = 4.302653, half width 4.302653 / sqrt(3)
    assert confidence_interval([1, 3, 2]) == pytest.approx((2 - 2.484138, 2 + 2.484138), abs=1e-6)
    assert confidence_interval([1]) is None


def test_rows(experiment):
    finish_all(experiment)
    static, slf = Report(experiment).rows
    assert static.mean == pytest.approx(70) and static.std == pytest.approx(2)
    assert static.differences == {} and static.interval is None and static.overhead is None
    assert slf.mean == pytest.approx(72)
    assert slf.differences == pytest.approx({0: 1, 1: 3, 2: 2})
    assert slf.interval == pytest.approx((-0.484138, 4.484138), abs=1e-5)
    assert slf.overhead == pytest.approx(1.1)


def test_only_pairs_are_compared(experiment):
    finish(experiment, 'static', 0, 0.5)
    finish(experiment, 'slf', 0, 0.6)
    finish(experiment, 'slf', 1, 0.9)
    slf = Report(experiment).rows[1]
    assert slf.differences == pytest.approx({0: 10}) and slf.interval is None and slf.mean == pytest.approx(75)


def test_files(experiment):
    finish_all(experiment)
    markdown, table, picture = Report(experiment).save()
    text = markdown.read_text()
    assert '| slf | 72.00 ± 2.65 | 3 | +2.00 | -0.48 to +4.48 | 0.1100 | x1.10 |' in text
    assert 'slf and static do not differ significantly (+2.00 mAP, -0.48 to +4.48, 3 seeds); 10 would be' in text
    lines = list(csv.DictReader(table.read_text().splitlines()))
    assert len(lines) == 6
    assert lines[0]['arm'] == 'static' and float(lines[0]['pascal_voc/mAP']) == 0.7
    assert picture.stat().st_size > 5000


def test_runs_with_other_images_are_named(experiment):
    finish_all(experiment)
    assert Report(experiment).unpaired() == []
    finish(experiment, 'slf', 1, 0.7, fingerprint='other')
    finish(experiment, 'slf', 2, 0.7, fingerprint=None)  # resumed: nothing is known
    (warning,) = Report(experiment).unpaired()
    assert warning == 'slf did not see the same images in the same order as static: seeds [1]'
    console = Console(record=True, width=200)
    Report(experiment).show(console)
    assert 'not paired: slf did not see' in console.export_text()


def test_runs_that_began_with_another_network_are_named(experiment):
    finish_all(experiment)
    network = dict(weight=[990, 'a'], bias=[10, 'b'])
    others = [dict(weight=[990, 'a']), dict(weight=[990, 'c'], bias=[10, 'b']), dict(kernel=[990, 'a'])]
    for seed, other in enumerate(others):
        for label, start in (('static', network), ('slf', other)):
            (experiment.work_dir / label / f'seed_{seed}' / 'start.json').write_text(json.dumps(start))
    # seed 0 lacks a bias only: 990 of 1000 values in common; seed 1 has 10 of 1000, seed 2 none
    assert Report(experiment).unpaired() == [
        'slf did not begin with the network of static, of which it had 1%: seeds [1, 2]'
    ]


def test_a_smaller_network_is_another_one():
    small, large = dict(a=[10, 'x']), dict(a=[10, 'x'], b=[90, 'y'])
    assert shared_values(small, large) == shared_values(large, small) == pytest.approx(0.1)
    assert shared_values(small, {}) == 1  # nothing is known


@pytest.mark.parametrize(
    ('metric', 'value', 'shown', 'title'),
    [
        ('regression/squared_correlation', 0.64236, '64.24', 'regression/squared_correlation [%]'),
        ('accuracy/top1', 98.519, '98.52', 'accuracy/top1 [%]'),  # mmpretrain's are in percent
        ('multi-label/mAP', 61.5, '61.50', 'multi-label/mAP [%]'),
        ('coco/bbox_mAP_50', 0.617, '61.70', 'coco/bbox_mAP_50 [%]'),
        ('clustering/NMI', 0.617, '61.70', 'clustering/NMI [%]'),
        ('pascal_voc/AP50', 0.617, '61.70', 'pascal_voc/AP50 [%]'),
        ('mapped', 0.617, '0.62', 'mapped'),
    ],
)
def test_metrics_are_shown_in_percent(experiment, metric, value, shown, title):
    finish(experiment, 'static', 0, 0.5, **{metric: value})
    header, line, _ = Report(experiment, metric=metric).table()
    assert (header[1], line[1]) == (title, shown)


def test_clusters_that_agree_with_nothing_are_no_missing_detections(experiment):
    for label, seed in itertools.product(('static', 'slf'), range(3)):
        finish(experiment, label, seed, 0.7, **{'clustering/NMI': 0.0})
    assert Report(experiment, metric='clustering/NMI').notes() == []


def test_default_metric_of_a_classification(experiment):
    finish(experiment, 'static', 0, 0.5)
    path = experiment.runs[0].folder / 'result.json'
    path.write_text(
        json.dumps({**json.loads(path.read_text()), 'test': {'accuracy/top1': 98.5, 'accuracy/top5': 99.9}})
    )
    assert Report(experiment).metric == 'accuracy/top1'


def test_other_metric_and_split(experiment):
    finish_all(experiment)
    finish(experiment, 'static', 0, 0.7, loss=3.5)
    assert Report(experiment, split='val').rows[0].mean == 0
    with pytest.raises(
        ValueError, match=r"'loss' has no finite value in the finished runs \['slf, seed 0', 'static, s"
    ):
        Report(experiment, metric='loss')  # only one run has it
    for label, seed in itertools.product(('static', 'slf'), range(3)):
        finish(experiment, label, seed, 0.7, loss=3.5)
    assert Report(experiment, metric='loss').rows[0].values == dict.fromkeys(range(3), 3.5)  # no percentage
    with pytest.raises(ValueError, match=r"metric 'map' was not measured; there are \['pascal_voc/AP50'"):
        Report(experiment, metric='map')


def test_nothing_to_report(experiment):
    with pytest.raises(ValueError, match='no run is finished yet'):
        Report(experiment)


def test_runs_that_are_missing_are_named(experiment):
    finish(experiment, 'slf', 0, 0.6)
    report = Report(experiment)
    assert [row.label for row in report.rows] == ['static', 'slf'] and math.isnan(report.rows[0].mean)
    assert [line[1:3] for line in report.table()[1:]] == [['-', '0 of 3'], ['60.00', '1 of 3']]
    (note,) = report.notes()
    assert note.startswith('missing, failed or not finished: static, seed 0; static, seed 1')
    markdown, _, picture = report.save()
    assert 'Missing, failed or not finished' in markdown.read_text() and picture.is_file()


# What a run may leave: a value, no detection at all, or no result since it failed or has not finished
OUTCOMES = st.one_of(st.floats(0.01, 1), st.just(0.0), st.none())


@pytest.fixture(scope='module')
def reused(tmp_path_factory):
    """For many examples; making its configs takes a second."""
    arms = [parse_arm('static'), parse_arm('slf')]
    experiment = Experiment(Config.fromfile(DIGITS_SLF), arms, [0, 1, 2], tmp_path_factory.mktemp('reused'))
    experiment.prepare()
    return experiment


@settings(max_examples=40, deadline=None)
@given(st.lists(OUTCOMES, min_size=6, max_size=6).filter(lambda outcomes: any(x is not None for x in outcomes)))
def test_no_result_leaves_a_comparison_silently(reused, outcomes):
    """Every run is in the mean of its arm, or named as missing; zeros count and are named."""
    expected = dict(zip(reused.runs, outcomes))
    for run, value in expected.items():
        (run.folder / 'result.json').unlink(missing_ok=True)
        if value is not None:
            finish(reused, run.arm.label, run.seed, value)
    report = Report(reused)
    for row, arm in zip(report.rows, reused.arms):
        found = [100 * x for run, x in expected.items() if run.arm is arm and x is not None]
        assert len(row.values) == len(found)
        assert not found or row.mean == pytest.approx(statistics.fmean(found))
    text = ' '.join(report.notes())
    for run, value in expected.items():
        assert (run.name in text) == (value is None or value == 0)


def test_a_metric_that_is_not_a_number_is_an_error_by_name(experiment):
    finish_all(experiment)
    finish(experiment, 'slf', 1, float('nan'))
    with pytest.raises(
        ValueError, match=r"no finite value in the finished runs \['slf, seed 1'\].*choose another metric"
    ):
        Report(experiment)


def test_learning_curves(experiment):
    finish_all(experiment)
    for run in experiment.runs:
        path = run.folder / 'result.json'
        result = json.loads(path.read_text())
        final = result['test']['pascal_voc/mAP']
        early = 0.5 if run.arm.label == 'static' else 0.69
        values = {10: 0.3, 20: early, 40: final}
        result['validations'] = {step: {'pascal_voc/mAP': value} for step, value in values.items()}
        path.write_text(json.dumps(result))
    report = Report(experiment)
    # static's final values 70, 72, 68: reached between 20 and 40 iterations, or between 10 and 20 with seed 2
    steps = [20 + 20 * 1 / 2, 20 + 20 * 3 / 6, 10 + 10 * 38 / 39]
    assert report.rows[1].reach == pytest.approx(statistics.median(steps) / 40)
    assert report.rows[0].reach == 1  # it rises to its end
    paths = report.save()
    assert [path.name for path in paths[3:]] == ['comparison_curves.csv', 'comparison_curves.png']
    assert len(paths[3].read_text().splitlines()) == 1 + 6 * 3
    markdown = paths[0].read_text()
    assert '| x1.10 | 0.75 |' in markdown and 'has the final value of the first line' in ' '.join(markdown.split())


def test_metric_of_which_less_is_better(experiment):
    """Of 40, 30 and 20 the last is reached by the second arm at its second validation, 2 of 5 iterations."""
    for label, curve in (('static', (40.0, 30.0, 20.0)), ('slf', (25.0, 20.0, 10.0))):
        for seed in range(3):
            finish(experiment, label, seed, 0.5, **{'gan/frechet_distance': curve[-1]})
            (run,) = (run for run in experiment.runs if run.arm.label == label and run.seed == seed)
            result = run.result()
            steps = zip((1, 2, 5), curve)
            result['validations'] = {step: {'gan/frechet_distance': value} for step, value in steps}
            (run.folder / 'result.json').write_text(json.dumps(result))
    report = Report(experiment, 'gan/frechet_distance')
    assert report.rule == 'less'
    assert [row.reach for row in report.rows] == [1.0, 0.4]
    header, _, slf = report.table()
    assert header[1] == 'gan/frechet_distance, less is better'
    assert slf[1:4] == ['10.00 ± 0.00', '3', '-10.00'] and slf[-1] == '0.40'
    assert report.verdicts() == [
        'slf is significantly lower than static (-10.00 frechet_distance, -10.00 to -10.00, 3 seeds).'
    ]
    # The opposite, where the user says so: the first arm has its final value of 20 at once
    assert [row.reach for row in Report(experiment, 'gan/frechet_distance', rule='greater').rows] == [0.2, 0.2]
    assert Report(experiment).rule == 'greater' and Report(experiment).table()[0][1] == 'pascal_voc/mAP [%]'


@pytest.mark.parametrize(
    ('metric', 'expected'),
    [
        ('pascal_voc/mAP', True),
        ('coco/bbox_mAP_50', True),
        ('clustering/ARI', False),
        ('regression/squared_correlation', False),
        ('seg/dice', False),
    ],
)
def test_a_metric_of_0_says_that_nothing_was_detected(metric, expected):
    assert _of_detections(metric) == expected
