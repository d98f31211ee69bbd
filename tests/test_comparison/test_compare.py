"""tools/compare.py as users call it, on a few images."""

import csv
import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from mmengine.config import Config

from slf_mmdet.comparison import Experiment, LocalEngine, parse_arm
from slf_mmdet.comparison.engines.base import LOG
from slf_mmdet.comparison.engines.local import LocalRun
from slf_mmdet.comparison.run import repair_last_checkpoint, train_and_evaluate
from slf_mmdet.comparison.run_process import WITH_PARENT
from slf_mmdet.losses.yolov1 import BASE_WEIGHTS

from ..helpers import CONFIGS, DIGITS_SLF, IN_PROCESS, ROOT, run_python
from ..interpreters import Forked

pytestmark = pytest.mark.integration

CONFIG = CONFIGS / 'yolov1' / 'yolov1_nano_1xb16-12e_digits-112px.py'
OPTIONS = (*IN_PROCESS, 'train_cfg.max_epochs=1', 'default_hooks.logger.interval=1')


def arguments(work_dir, *args):
    return (CONFIG, '--work-dir', work_dir, *args, '--cfg-options', *OPTIONS)


def command(work_dir, *args):
    return (ROOT / 'tools/compare.py', *arguments(work_dir, *args))


@pytest.fixture
def forked_runs(monkeypatch):
    """Runs are forks instead of new interpreters, which the comparisons above and below start."""

    def start(engine, folder, slot):
        args = ('-m', 'slf_mmdet.comparison.run', str(folder), WITH_PARENT)
        return LocalRun(Forked(args, folder / LOG, os.getcwd(), {}))

    monkeypatch.setattr(LocalEngine, 'start', start)


def read(work_dir):
    with open(work_dir / 'comparison.csv') as file:
        return {(line['arm'], int(line['seed'])): line for line in csv.DictReader(file)}


def group_exists(leader):
    """Whether there is a process in the group of one that may have ended."""
    try:
        os.killpg(leader, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture(scope='module')
def compared(digits, tmp_path_factory):
    work_dir = tmp_path_factory.mktemp('compared')
    args = ('--balancers', 'static', 'again=static', 'slf', '--seeds', '0', '--jobs', '2')
    return work_dir, run_python(*command(work_dir, *args), cwd=digits), args


@pytest.mark.slow
def test_every_run_is_a_trained_and_evaluated_run(compared):
    work_dir, _, _ = compared
    assert set(read(work_dir)) == {(label, 0) for label in ('static', 'again', 'slf')}
    for label in ('static', 'again', 'slf'):
        assert (work_dir / label / 'seed_0' / 'epoch_1.pth').is_file()
    assert 'pascal_voc/mAP' in (work_dir / 'comparison.md').read_text()
    assert (work_dir / 'comparison.png').is_file()


def test_runs_of_a_seed_are_paired(compared):
    work_dir, done, _ = compared

    def losses(label):
        (log,) = (work_dir / label / 'seed_0').glob('*/vis_data/scalars.json')
        return [json.loads(line).get('loss') for line in log.read_text().splitlines()]

    def fingerprint(label):
        return json.loads((work_dir / label / 'seed_0' / 'result.json').read_text())['fingerprint']

    assert losses('static') == losses('again') != losses('slf')
    assert fingerprint('static') == fingerprint('again') == fingerprint('slf') is not None
    assert 'not paired' not in done.stdout


def test_finished_runs_are_not_started_again(compared, run_tool, digits):
    work_dir, _, args = compared
    before = {path: path.stat().st_mtime_ns for path in work_dir.glob('*/*/result.json')}
    run_tool('compare.py', *arguments(work_dir, *args), cwd=digits)
    assert {path: path.stat().st_mtime_ns for path in work_dir.glob('*/*/result.json')} == before


def test_other_settings_in_the_same_work_dir_are_refused(compared, run_tool, digits):
    work_dir, _, args = compared
    options = [*arguments(work_dir, *args), 'optim_wrapper.optimizer.lr=1.0']
    done = run_tool('compare.py', *options, cwd=digits, check=False)
    assert done.returncode == 1 and 'has other settings than this comparison' in done.stdout
    assert 'Traceback' not in done.stdout


def test_a_tuning_that_fails_is_a_failure_in_one_paragraph(monkeypatch, run_tool, digits, tmp_path):
    monkeypatch.setattr(Experiment, 'run', lambda experiment, *args: experiment.runs)
    done = run_tool('compare.py', *arguments(tmp_path, '--weights', 'grid'), cwd=digits, check=False)
    assert done.returncode == 1 and 'Traceback' not in done.stdout
    assert 'compare: a run of the tuning failed, so the best static weights are not known.' in done.stdout


def test_an_interrupted_comparison_says_how_it_continues(monkeypatch, run_tool, digits, tmp_path):
    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(Experiment, 'run', interrupted)
    done = run_tool('compare.py', *arguments(tmp_path, '--balancers', 'static'), cwd=digits, check=False)
    assert done.returncode == 1 and 'Interrupted. The same command continues where it stopped.' in done.stdout


@pytest.mark.slow
def test_killed_comparison_continues(forked_runs, run_tool, digits, tmp_path):
    args = ('--balancers', 'static', '--seeds', '0')
    options = ('train_cfg.max_epochs=3', 'train_cfg.val_interval=3')
    process = subprocess.Popen(
        [sys.executable, *map(str, command(tmp_path, *args)), *options],
        cwd=digits,
        env={**os.environ, 'OMP_NUM_THREADS': '1'},
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    run = tmp_path / 'static' / 'seed_0'
    deadline = time.time() + 400
    while not (run / 'last_checkpoint').is_file() and time.time() < deadline:
        assert process.poll() is None, 'it ended before its first checkpoint'
        time.sleep(0.05)
    process.kill()
    process.wait()
    while group_exists(process.pid) and time.time() < deadline:  # its run ends, too
        time.sleep(0.05)
    assert not group_exists(process.pid) and not (run / 'result.json').exists()
    (run / 'last_checkpoint').write_text('')  # as after a kill between opening and writing it
    run_tool('compare.py', *arguments(tmp_path, *args), *options, cwd=digits)
    result = json.loads((run / 'result.json').read_text())
    assert result['iters'] == 12 and result['fingerprint']
    assert 'resumed epoch: ' in (run / 'log.txt').read_text()
    run_tool('compare.py', *arguments(tmp_path, *args), *options, cwd=digits)  # the settings are those of before


@pytest.mark.parametrize('last', ['', 'epoch_1.pth', 'epoch_9.pth'], ids=['empty', 'half', 'deleted'])
def test_a_run_killed_before_its_first_whole_checkpoint_begins_again(tmp_path, last):
    (tmp_path / 'epoch_1.pth').write_bytes(b'half')
    (tmp_path / 'last_checkpoint').write_text(last and str(tmp_path / last))
    repair_last_checkpoint(tmp_path)
    assert not (tmp_path / 'last_checkpoint').exists()


def test_a_run_goes_on_from_the_greatest_number_whatever_the_clock_says(tmp_path):
    for number in (9, 10):
        torch.save(dict(number=number), tmp_path / f'epoch_{number}.pth')
    (tmp_path / 'epoch_11.pth').write_bytes(b'half')
    os.utime(tmp_path / 'epoch_10.pth', (0, 0))  # the clock was set back
    pointer = tmp_path / 'last_checkpoint'
    for last in ('', str(tmp_path / 'epoch_11.pth'), str(tmp_path / 'epoch_8.pth')):
        pointer.write_text(last)
        repair_last_checkpoint(tmp_path)
        assert pointer.read_text() == str(tmp_path / 'epoch_10.pth')


def test_a_run_killed_amid_its_last_validation(digits, tmp_path, monkeypatch):
    """Its training is not continued, the evaluations are, of EMA's average too, and its settings are left alone."""
    cfg = Config.fromfile(CONFIG)
    options = dict(option.split('=') for option in IN_PROCESS)
    cfg.merge_from_dict({key: eval(value) for key, value in options.items()})
    cfg.merge_from_dict(dict(train_cfg=dict(max_epochs=1), test_dataloader=dict(batch_size=2)))
    cfg.custom_hooks = [dict(type='EMAHook', momentum=0.5)]
    (run,) = Experiment(cfg, [parse_arm('static')], [0], tmp_path).prepare()
    settings = (run.folder / 'config.py').stat()
    monkeypatch.chdir(digits)
    first = train_and_evaluate(run.folder)
    (run.folder / 'result.json').unlink()
    again = train_and_evaluate(run.folder)
    # The test images are the validation images here
    assert first['val'] == first['test'] == again['val'] == again['test'] and first['val']['pascal_voc/mAP'] > 0
    assert first['fingerprint'] == again['fingerprint'] and again['seconds'] > first['seconds'] / 2
    assert (run.folder / 'config.py').stat().st_mtime_ns == settings.st_mtime_ns
    assert any('resumed epoch: 1, iter: 4' in path.read_text() for path in run.folder.glob('*/*.log'))


def test_a_terminated_comparison_leaves_no_run_behind(digits, tmp_path):
    process = subprocess.Popen(
        [sys.executable, *map(str, command(tmp_path, '--balancers', 'static', '--seeds', '0'))],
        cwd=digits,
        env={**os.environ, 'OMP_NUM_THREADS': '1'},
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.time() + 400
    while not (tmp_path / 'static' / 'seed_0' / 'log.txt').is_file() and time.time() < deadline:
        time.sleep(0.05)
    process.terminate()
    assert process.wait(60) == 143
    assert not group_exists(process.pid)


@pytest.mark.parametrize('stubborn', [False, True])
def test_sigterm_amid_a_start_ends_that_run_too(stubborn, tmp_path, monkeypatch):
    code = f'import signal, time; {stubborn} and signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True)'
    started = []

    def start(*args):
        started.append(subprocess.Popen([sys.executable, '-c', f'{code}; time.sleep(600)'], stdout=subprocess.PIPE))
        started[0].stdout.readline()
        os.kill(os.getpid(), signal.SIGTERM)
        return LocalRun(started[0])

    monkeypatch.setattr(LocalEngine, 'start', start)
    monkeypatch.setattr('slf_mmdet.comparison.run_pool.GRACE', 1 if stubborn else 60)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit, match='143'):
        Experiment(Config.fromfile(CONFIG), [parse_arm('static')], [0], tmp_path).run()
    assert started[0].returncode == (-signal.SIGKILL if stubborn else -signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == before


def test_failed_run_is_reported_and_the_others_go_on(forked_runs, run_tool, digits, tmp_path):
    args = ('--balancers', 'static', 'bad=static(base_weights=dict(box=1))', '--seeds', '0')
    done = run_tool('compare.py', *arguments(tmp_path, *args), cwd=digits, check=False)
    assert done.returncode == 1
    assert 'failed: bad, seed 0' in done.stdout and "names ['box']" in done.stdout
    assert set(read(tmp_path)) == {('static', 0)}


@pytest.mark.slow
def test_tuned_arm_is_the_best_trial_of_the_search(forked_runs, run_tool, digits, tmp_path):
    args = ('--balancers', 'static', '--seeds', '0', '--weights', 'search', '--trials', '2', '--jobs', '2')
    done = run_tool('compare.py', *arguments(tmp_path, *args), cwd=digits)
    with open(tmp_path / 'tune_search' / 'trials.csv') as file:
        tried = {line['trial']: line for line in csv.DictReader(file)}
    assert list(tried) == ['trial 0', 'trial 1']
    assert {name: float(tried['trial 0'][name]) for name in BASE_WEIGHTS} == BASE_WEIGHTS
    best = max(tried, key=lambda name: float(tried[name]['value']))
    assert f'Tuned static weights: {best}' in done.stdout
    assert set(read(tmp_path)) == {('static', 0), (f'tuned ({best})', 0)}


def test_first_config_decides_nothing_but_its_balancer(tmp_path):
    experiment = Experiment(Config.fromfile(CONFIG), [parse_arm('static'), parse_arm('slf')], [7], tmp_path)
    experiment.prepare()
    first, second = (Config.fromfile(run.folder / 'config.py') for run in experiment.runs)
    assert first.randomness == dict(seed=7) == second.randomness
    assert first.default_hooks == second.default_hooks
    first.model.bbox_head.loss_balancer = second.model.bbox_head.loss_balancer
    assert first.model == second.model


@pytest.fixture
def prepared(run_tool, monkeypatch, digits, tmp_path):
    """What the tool would run: arm -> config of its first run."""
    monkeypatch.setattr(Experiment, 'run', lambda experiment, *args: experiment.prepare())

    def prepared(*args):
        done = run_tool('compare.py', *arguments(tmp_path, *args, '--seeds', '0'), cwd=digits, check=False)
        assert done.returncode == 1 and 'no run is finished yet' in done.stdout
        return {path.parent.parent.name: Config.fromfile(path) for path in tmp_path.glob('*/seed_0/config.py')}

    return prepared


def test_other_configs_are_arms_and_get_the_options(prepared):
    other = CONFIGS / 'yolov1' / 'yolov1_squeezenet_1xb16-60e_bccd-320px.py'
    configs = prepared('--configs', CONFIG, other, f'slf={DIGITS_SLF}')
    assert set(configs) == {'nano_1xb16-12e_digits-112px', 'squeezenet_1xb16-60e_bccd-320px', 'slf'}
    assert [cfg.train_cfg.max_epochs for cfg in configs.values()] == [1, 1, 1]
    assert configs['slf'].model.bbox_head.loss_balancer.type == 'SLFBalancer'


def test_varied_options_are_arms(prepared):
    configs = prepared(
        '--vary', 'model.bbox_head.dropout=0.5', 'fast: optim_wrapper.optimizer.lr=0.5 train_cfg.max_epochs=2'
    )
    assert set(configs) == {'config', 'dropout=0.5', 'fast'}
    as_it_is = Config.fromfile(CONFIG)
    assert configs['config'].model == as_it_is.model == configs['fast'].model
    assert configs['dropout=0.5'].model == {**as_it_is.model, 'bbox_head': {**as_it_is.model.bbox_head, 'dropout': 0.5}}
    assert configs['fast'].optim_wrapper.optimizer.lr == 0.5
    assert [configs[name].train_cfg.max_epochs for name in ('config', 'dropout=0.5', 'fast')] == [1, 1, 2]


def test_all_kinds_of_arms_combine(prepared):
    configs = prepared(
        '--balancers', 'slf', 'static', '--configs', f'other={DIGITS_SLF}', '--vary', 'long: train_cfg.max_epochs=2'
    )
    assert set(configs) == {'slf', 'static', 'other', 'long'}


def test_without_arms_two_balancers_are_compared(prepared):
    assert set(prepared()) == {'slf', 'static'}
