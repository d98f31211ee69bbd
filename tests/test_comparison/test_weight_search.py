"""The search of static weights, with runs that are computed by a formula instead of a training."""

import csv
import json
import math
import shutil
import statistics

import pytest
from mmengine.config import Config
from rich.console import Console

from slf_mmdet.comparison import WeightSearch
from slf_mmdet.comparison.engines import Engine, StartedRun
from slf_mmdet.comparison.weight_search import FACTOR

from ..helpers import CONFIGS

CONFIG = CONFIGS / 'yolov1' / 'yolov1_nano_1xb16-12e_digits-112px.py'
WEIGHTS = dict(coord=5.0, cls=1.0)
BEST = dict(coord=10.0, cls=0.5)
SETTINGS = dict(parts=['coord', 'cls'])
STEPS = 4


def quality(weights):
    """1 at the best weights, less with each factor away from them."""
    return 1 - sum(math.log(weights[name] / BEST[name]) ** 2 for name in BEST) / 40


class FormulaRun(StartedRun):
    """A run of a few validations, one at each look at it; its last value is the quality of its weights."""

    def __init__(self, folder, broken, stopped):
        self.folder = folder
        self.stopped = stopped
        self.broken = broken
        cfg = Config.fromfile(folder / 'config.py')
        self.weights = cfg.model.bbox_head.loss_balancer.base_weights
        self.found = {}

    def end(self):
        if self.broken(self.weights):
            return 'ended with exit status 1'
        step = len(self.found) + 1
        self.found[step] = {'pascal_voc/mAP': quality(self.weights) * step / STEPS}
        (self.folder / 'validations.json').write_text(json.dumps(self.found))
        if step < STEPS:
            return None
        (self.folder / 'result.json').write_text(json.dumps(dict(val=self.found[step])))
        return 'ended without a result'

    def stop(self):
        self.stopped.append(self.weights)

    def wait(self, seconds):
        pass


class FormulaEngine(Engine):
    def __init__(self, jobs=1, broken=lambda weights: False, limit=math.inf):
        super().__init__(jobs)
        self.broken, self.limit = broken, limit
        self.started, self.stopped = [], []

    def start(self, folder, slot):
        if len(self.started) == self.limit:
            raise KeyboardInterrupt
        self.started.append(folder)
        return FormulaRun(folder, self.broken, self.stopped)


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch):
    monkeypatch.setattr('slf_mmdet.comparison.run_pool.PAUSE', 0)


@pytest.fixture
def search(tmp_path, monkeypatch):
    # The parts of this test are two of the four of the config
    monkeypatch.setattr('slf_mmdet.comparison.experiment.check_parts', lambda cfg, label: None)

    def search(engine, trials=6, **settings):
        found = WeightSearch(
            Config.fromfile(CONFIG), WEIGHTS, trials, [1000], tmp_path / 'search', **{**SETTINGS, **settings}
        )
        found.run(engine, Console(quiet=True))
        return found

    return search


def table(search):
    with open(search.save()[0]) as file:
        return list(csv.DictReader(file))


def test_the_first_trial_has_the_base_weights_and_all_are_within_the_factor(search):
    rows = table(search(FormulaEngine(), 8))
    assert [row['trial'] for row in rows] == [f'trial {i}' for i in range(8)]
    assert {name: float(rows[0][name]) for name in WEIGHTS} == WEIGHTS
    ratios = [float(row[name]) / WEIGHTS[name] for row in rows for name in WEIGHTS]
    assert 1 / FACTOR <= min(ratios) < 1 < max(ratios) <= FACTOR


def test_the_best_trial_is_that_of_the_best_validation(search):
    found = search(FormulaEngine(), 8)
    complete = [row for row in table(found) if row['state'] == 'complete']
    best = max(complete, key=lambda row: float(row['value']))
    assert found.best().label == best['trial']
    assert found.best().balancer['base_weights'] == {name: float(best[name]) for name in WEIGHTS}
    assert float(best['value']) == pytest.approx(quality(found.best().balancer['base_weights']))


def test_it_comes_closer_to_the_optimum_than_its_random_start(search):
    found = search(FormulaEngine(), 25)
    values = [float(row['value']) for row in table(found) if row['state'] == 'complete']
    assert max(values[10:]) > max(values[:10])
    assert max(values) > 0.95


def test_a_smaller_metric_is_better_with_the_rule_less(search):
    found = search(FormulaEngine(), 8, rule='less')
    complete = [row for row in table(found) if row['state'] == 'complete']
    assert found.best().label == min(complete, key=lambda row: float(row['value']))['trial']


def test_trials_below_the_median_are_pruned_amid_their_run(search):
    engine = FormulaEngine()
    rows = table(search(engine, 16))
    complete, expected = [], []
    for row in rows:  # the curves are lines, so what is below the median at one step is below it at all
        value = quality({name: float(row[name]) for name in WEIGHTS})
        bad = len(complete) >= 4 and value < statistics.median(complete)
        expected.append('pruned' if bad else 'complete')
        complete += [] if bad else [value]
    assert [row['state'] for row in rows] == expected
    assert len(engine.stopped) == expected.count('pruned') > 0


@pytest.mark.parametrize('jobs', [1, 3])
def test_an_interrupted_search_takes_up_its_runs_again(search, jobs):
    with pytest.raises(KeyboardInterrupt):
        search(FormulaEngine(jobs, limit=4), 6)
    second = FormulaEngine(jobs)
    found = search(second, 6)
    names = [row['trial'] for row in table(found)]
    assert len(names) == len(set(names)) == 6
    folders = [folder.parent.name for folder in second.started]
    assert 'trial4' in folders  # it was interrupted while it was started
    points = {tuple(row[name] for name in WEIGHTS) for row in table(found)}
    assert len(points) == 6
    third = FormulaEngine(jobs)
    assert search(third, 6).best().label == found.best().label
    assert not third.started
    search(third, 8)
    assert len(third.started) == 2


def test_failed_trials_count_and_are_left_out(search):
    found = search(FormulaEngine(broken=lambda weights: weights['coord'] == 5), 4)
    rows = table(found)
    assert rows[0]['state'] == 'fail' and len(rows) == 4
    assert found.best().label != 'trial 0'


def test_errors(search, tmp_path):
    with pytest.raises(ValueError, match='no trial has a finite value'):
        search(FormulaEngine(broken=lambda weights: True), 2).best()
    cfg = Config.fromfile(CONFIG)
    with pytest.raises(ValueError, match='2 of 5 trials are finished, run the search first'):
        WeightSearch(cfg, WEIGHTS, 5, [1000], tmp_path / 'search', **SETTINGS).best()
    with pytest.raises(ValueError, match='--trials must be >= 1, found 0'):
        WeightSearch(cfg, WEIGHTS, 0, [1000], tmp_path / 'search')
    with pytest.raises(ValueError, match=r"those of \['cls'\] must be > 0, found 0"):
        WeightSearch(cfg, dict(coord=5.0, cls=0.0), 1, [1000], tmp_path / 'search')
    shutil.rmtree(tmp_path / 'search')
    with pytest.raises(ValueError, match="metric 'AP' was not measured; there are \\['pascal_voc/mAP'\\]"):
        search(FormulaEngine(), 3, metric='AP')


@pytest.mark.parametrize(
    ('changed', 'message'),
    [
        (dict(seeds=[1001]), r'seeds \[1000\] instead of \[1001\]'),
        (dict(metric='pascal_voc/AP50'), "metric None instead of 'pascal_voc/AP50'"),
        (dict(rule='less'), "rule 'greater' instead of 'less'"),
        (dict(weights=dict(coord=5.0)), 'weights .* instead of'),
    ],
)
def test_trials_with_other_settings_do_not_count(search, tmp_path, changed, message):
    search(FormulaEngine(), 2)
    cfg = Config.fromfile(CONFIG)
    given = {**dict(weights=WEIGHTS, seeds=[1000]), **SETTINGS, **changed}
    with pytest.raises(ValueError, match=f'{message}.*Use another --work-dir'):
        WeightSearch(cfg, trials=2, work_dir=tmp_path / 'search', **given)


def test_a_process_killed_before_a_trial_had_its_name(search, tmp_path):
    cfg = Config.fromfile(CONFIG)
    first = WeightSearch(cfg, WEIGHTS, 3, [1000], tmp_path / 'search', **SETTINGS)
    first.study.enqueue_trial(WEIGHTS)
    first.study.ask()  # and then it was killed
    rows = table(search(FormulaEngine(), 3))
    assert len(rows) == 3 and {name: float(rows[0][name]) for name in WEIGHTS} == WEIGHTS
