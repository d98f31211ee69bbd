"""The GAN configs: what they are, short runs on a few digits, resumed to the bit, tested and compared."""

import json
import re

import numpy as np
import pytest
import torch
import yaml
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import Runner

from ..helpers import CONFIGS, IN_PROCESS, ROOT
from ..interpreters import run_forked

pytest.importorskip('mmpretrain', reason="classification needs mmpretrain: pip install 'slf-mmdet[cls]'")
pytest.importorskip('torchmetrics', reason="GANs need torchmetrics: pip install 'slf-mmdet[gan]'")

from slf_mmdet.comparison import Experiment, Report, parse_configs
from slf_mmdet.comparison.run import train_and_evaluate

FOLDER = CONFIGS / 'gan'
PATHS = sorted(FOLDER.glob('*.py'))
LOSSES = dict(
    minimax='MinimaxGANLoss',
    wgan='WGANLoss',
    **{'non-saturating': 'NonSaturatingGANLoss', 'least-squares': 'LeastSquaresGANLoss', 'wgan-gp': 'WGANGPLoss'},
)
DISTANCE = 'gan/frechet_distance'
ROOTS = dict(mnist='data/mnist', digits='data/digits_28px')
NON_SATURATING = FOLDER / 'dcgan_non-saturating_1xb64-10e_digits-28px.py'
# 6 steps an epoch of a smaller network
SMALL = {
    'train_dataloader.batch_size': 16,
    'model.generator.channels': 8,
    'model.discriminator.channels': 8,
    'train_cfg.max_epochs': 2,
    'default_hooks.logger.interval': 1,
    'randomness.seed': 0,
}


def words(path):
    return re.fullmatch(r'dcgan_(?P<loss>[\w-]+)_(\d)xb(\d+)-(\d+)e_(?P<data>\w+)-28px', path.stem)


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """A folder with a few digits in MNIST's files, and the checkpoint of a LeNet."""
    from mmpretrain.models import LeNet5

    from slf_mmdet.datasets.digits_idx import build_digits_idx

    folder = tmp_path_factory.mktemp('gan')
    build_digits_idx(folder / 'data' / 'digits_28px', num_train=100, num_test=40)
    torch.manual_seed(0)
    checkpoint = folder / 'work_dirs' / 'lenet_digits-28px' / 'epoch_3.pth'
    checkpoint.parent.mkdir(parents=True)
    state = {f'backbone.{key}': value for key, value in LeNet5().state_dict().items()}
    torch.save(dict(state_dict=state, meta={}), checkpoint)
    return folder


def train(path, work_dir, data, monkeypatch, **options):
    """Trains in this process; returns the runner and what each line of ``scalars.json`` holds."""
    monkeypatch.chdir(data)
    cfg = Config.fromfile(path)
    for split in ('train', 'val', 'test'):
        cfg[f'{split}_dataloader'].update(num_workers=0, persistent_workers=False)
    name = f'{work_dir.parent.name}_{work_dir.name}_{options.get("resume", "")}'
    named = {'work_dir': str(work_dir), 'experiment_name': name, 'visualizer.name': name}
    cfg.merge_from_dict({**SMALL, **named, **options})
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        runner = Runner.from_cfg(cfg)
        runner.train()
    log = next(path for path in sorted(work_dir.glob('*/vis_data/scalars.json'), reverse=True))
    return runner, [json.loads(line) for line in log.read_text(encoding='utf-8').splitlines()]


def test_every_loss_comes_with_both_data_sets():
    assert {(words(path)['loss'], words(path)['data']) for path in PATHS} == {(a, b) for a in LOSSES for b in ROOTS}


@pytest.mark.parametrize('path', PATHS, ids=lambda path: path.stem)
def test_is_what_its_name_says(path):
    cfg, named = Config.fromfile(path), words(path)
    assert (cfg.train_dataloader.batch_size, cfg.train_cfg.max_epochs) == (int(named[3]), int(named[4]))
    assert {cfg[f'{split}_dataloader'].dataset.data_root for split in ('train', 'val', 'test')} == {
        ROOTS[named['data']]
    }
    assert cfg.val_evaluator == cfg.test_evaluator
    assert ('digits' in cfg.val_evaluator.checkpoint) == (named['data'] == 'digits')
    assert cfg.model_wrapper_cfg.type == 'MMSeparateDistributedDataParallel'
    model = MODELS.build(cfg.model)
    assert type(model.loss).__name__ == LOSSES[named['loss']]
    assert model.discriminator_steps == (5 if named['loss'].startswith('wgan') else 1)
    images = model(torch.zeros(2, 1, 28, 28))
    assert images.shape == (2, 1, 28, 28) and model.discriminator(images).shape == (2,)
    sizes = [sum(p.numel() for p in network.parameters()) / 1e6 for network in (model.generator, model.discriminator)]
    assert [f'{size:.2f}' for size in sizes] == ['0.23', '0.04']  # as dcgan_28.py says


@pytest.mark.parametrize('data', ROOTS)
def test_configs_differ_in_loss_and_optimizers_alone(data):
    rest = []
    for path in PATHS:
        if words(path)['data'] == data:
            cfg = Config.fromfile(path).to_dict()
            optim = {key: cfg['optim_wrapper'][key]['optimizer']['type'] for key in ('generator', 'discriminator')}
            kind = 'RMSprop' if words(path)['loss'] == 'wgan' else 'Adam'  # as in the papers
            assert optim == dict(generator=kind, discriminator=kind)
            cfg['model'].pop('loss')
            cfg['model'].pop('discriminator_steps', None)
            cfg.pop('optim_wrapper')
            rest.append(cfg)
    assert len(rest) == 5 and all(cfg == rest[0] for cfg in rest)


@pytest.mark.parametrize('loss', LOSSES)
def test_trains_evaluates_and_draws(loss, data, tmp_path, monkeypatch):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    path = FOLDER / f'dcgan_{loss}_1xb64-10e_digits-28px.py'
    runner, lines = train(path, tmp_path / 'run', data, monkeypatch)
    steps = [line for line in lines if 'loss_discriminator' in line]
    assert len(steps) == 12
    assert all(np.isfinite(line['loss_discriminator']) for line in steps)
    # mmengine repeats the last mean where the generator was not trained
    assert sum('loss_generator' in line for line in steps) == (8 if loss.startswith('wgan') else 12)
    assert ('loss_penalty' in steps[0]) == (loss == 'wgan-gp')
    assert runner.model.counter.value == 12
    distances = [line[DISTANCE] for line in lines if DISTANCE in line]
    assert len(distances) == 2 and all(distance > 0 for distance in distances)
    pictures = sorted(path.name for path in (tmp_path / 'run').glob('*/vis_data/vis_image/*.png'))
    assert pictures == ['samples_12.png', 'samples_6.png']
    (events,) = (tmp_path / 'run').glob('*/vis_data/events*')
    assert 'samples' in EventAccumulator(str(events)).Reload().Tags()['images']


def test_learns_the_digits(data, tmp_path, monkeypatch):
    """The distance falls."""
    options = {'train_cfg.max_epochs': 15, 'train_cfg.val_interval': 5}
    rates = {f'optim_wrapper.{player}.optimizer.lr': 2e-3 for player in ('generator', 'discriminator')}
    _, lines = train(NON_SATURATING, tmp_path / 'run', data, monkeypatch, **options, **rates)
    distances = [line[DISTANCE] for line in lines if DISTANCE in line]
    assert distances[-1] < 0.5 * distances[0]


@pytest.mark.parametrize('loss', ['non-saturating', 'wgan-gp'])
def test_resumed_equals_uninterrupted(loss, data, tmp_path, monkeypatch):
    """After 6 steps the generator of WGAN, which is trained every fifth step, has had its turn once."""
    path = FOLDER / f'dcgan_{loss}_1xb64-10e_digits-28px.py'
    for name, first in (('whole', 2), ('resumed', 1)):
        train(path, tmp_path / name, data, monkeypatch, **{'train_cfg.max_epochs': first})
    train(path, tmp_path / 'resumed', data, monkeypatch, resume=True)
    whole, resumed = (torch.load(tmp_path / name / 'epoch_2.pth') for name in ('whole', 'resumed'))
    assert whole['state_dict'].keys() == resumed['state_dict'].keys()
    assert all(torch.equal(value, resumed['state_dict'][key]) for key, value in whole['state_dict'].items())
    for player in ('generator', 'discriminator'):
        ours, theirs = (checkpoint['optimizer'][player]['state'] for checkpoint in (resumed, whole))
        assert ours and ours.keys() == theirs.keys()
        assert all(torch.equal(theirs[i][key], value) for i, state in ours.items() for key, value in state.items())
    distances = [
        [line for log in sorted(folder.glob('*/vis_data/scalars.json')) for line in _distances(log)]
        for folder in (tmp_path / 'whole', tmp_path / 'resumed')
    ]
    assert distances[0] == distances[1] and len(distances[0]) == 2


def _distances(log):
    lines = [json.loads(line) for line in log.read_text(encoding='utf-8').splitlines()]
    return [line[DISTANCE] for line in lines if DISTANCE in line]


def test_no_lenet_is_said_before_the_training(data, tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match='the checkpoint absent.pth is not there'):
        train(NON_SATURATING, tmp_path / 'run', data, monkeypatch, **{'val_evaluator.checkpoint': 'absent.pth'})
    assert not list((tmp_path / 'run').glob('*.pth'))


@pytest.mark.slow
def test_tools(data, tmp_path, run_tool):
    """Trained, tested and reported as a user does; the test finds the distance of the last validation."""
    options = [f'{key}={value}' for key, value in SMALL.items()]
    run = tmp_path / 'run'
    run_forked(
        *(ROOT / 'tools/train.py', NON_SATURATING, '--work-dir', run, '--cfg-options', *IN_PROCESS, *options), cwd=data
    )
    checkpoint, test = run / 'epoch_2.pth', tmp_path / 'test'
    args = (NON_SATURATING, checkpoint, '--work-dir', test, '--cfg-options', *IN_PROCESS, *options)
    tested = run_forked(ROOT / 'tools/test.py', *args, cwd=data).stdout
    (log,) = run.glob('*/vis_data/scalars.json')
    assert f'{DISTANCE}: {_distances(log)[-1]:.4f}' in tested
    assert list(test.rglob('vis_data/vis_image/samples_*.png'))
    run_tool('analysis_tools/report.py', run, '--out', tmp_path / 'report.html')
    text = (tmp_path / 'report.html').read_text(encoding='utf-8').replace('<wbr>', '')
    assert f'{DISTANCE}, smallest' in text and f'{_distances(log)[-1]:.4f}' in text and 'samples_12.png' in text


def test_comparison(data, tmp_path, monkeypatch):
    """Three of the losses on the same digits from the same networks; less is better."""
    monkeypatch.chdir(data)
    names = ('non-saturating', 'minimax', 'wgan-gp')
    arms = parse_configs([str(FOLDER / f'dcgan_{name}_1xb64-10e_digits-28px.py') for name in names], SMALL)
    for arm in arms:
        for split in ('train', 'val', 'test'):
            arm.cfg[f'{split}_dataloader'].update(num_workers=0, persistent_workers=False)
        arm.cfg.visualizer.name = arm.cfg.experiment_name = f'test_comparison_{arm.label}'
    assert [arm.label for arm in arms] == list(names)
    experiment = Experiment(arms[0].cfg, arms, [0], tmp_path)
    with DefaultScope.overwrite_default_scope('mmpretrain'):  # and back to that of the other tests
        for run in experiment.prepare():
            train_and_evaluate(run.folder)
    report = Report(experiment)
    assert (report.metric, report.rule) == (DISTANCE, 'less')
    assert report.missing == report.unpaired() == report.notes() == []
    report.save()
    assert f'| arm | {DISTANCE}, less is better | seeds |' in (tmp_path / 'comparison.md').read_text()


def test_the_index_and_the_readme_name_every_config():
    meta = yaml.safe_load((FOLDER / 'metafile.yml').read_text(encoding='utf-8'))
    assert sorted(ROOT / model['Config'] for model in meta['Models']) == PATHS
    assert all(model['Name'] == (ROOT / model['Config']).stem for model in meta['Models'])
    readme = (FOLDER / 'README.md').read_text(encoding='utf-8')
    assert {FOLDER / link for link in re.findall(r'\]\(([^)]+\.py)\)', readme)} == set(PATHS)
