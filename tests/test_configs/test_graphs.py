"""The configs of graph regression: data sets times networks, with one loss and with SLF; and runs of them."""

import functools
import json
import re

import pytest
import torch
import yaml
from mmdet.registry import DATASETS, MODELS
from mmengine.config import Config
from mmengine.runner import Runner

from slf_mmdet.comparison import Arm, Experiment, Report, parse_configs, parse_options
from slf_mmdet.comparison.run import train_and_evaluate

from ..helpers import CONFIGS, ROOT
from ..molecule_files import write_molecules

pytest.importorskip('rdkit', reason="molecules need RDKit: pip install 'slf-mmdet[graphs]'")

FOLDER = CONFIGS / 'graphs'
PATHS = sorted(FOLDER.glob('*.py'))
LAYERS = dict(
    fc=None,
    lcn='GraphLocallyConnected',
    feastnet='FeaStConv',
    ecc='EdgeConditionedConv',
    spectral='SpectralConv',
    gcn='GCNConv',
    cheb='ChebConv',
)
FILES = dict(dpp4=('dpp4/dpp4_chembl.csv.gz', 'pIC50'), lipophilicity=('molecules/Lipophilicity.csv', 'exp'))
ARMS = dict(mae='L1Loss', huber='SmoothL1Loss', robust='AdaptiveRobustLoss')


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A folder whose ``data`` has small files in place of the real ones."""
    root = tmp_path_factory.mktemp('graphs')
    for name, target in FILES.values():
        write_molecules(root / 'data' / name, target)
    return root


@functools.cache
def load(path):
    """The config; its spectral layer with no more frequencies than the small files have features."""
    cfg = Config.fromfile(path)
    if 'spectral' in path.stem:
        cfg.model.layer.num_frequencies = 8
    return cfg


def test_every_network_comes_with_both_losses_on_both_data_sets():
    found = {tuple(path.stem.split('_')) for path in PATHS}
    assert found == {
        (network, loss, '1xb200-40e', data) for network in LAYERS for loss in ('mse', 'slf') for data in FILES
    }


@pytest.mark.parametrize('path', PATHS, ids=lambda path: path.stem)
def test_is_what_its_name_says_and_trains(path, folder, monkeypatch):
    monkeypatch.chdir(folder)
    cfg = load(path)
    network, loss, schedule, data = path.stem.split('_')
    gpus, batch, epochs = map(int, re.fullmatch(r'(\d)xb(\d+)-(\d+)e', schedule).groups())
    assert cfg.train_dataloader.batch_size == batch and cfg.auto_scale_lr.base_batch_size == gpus * batch
    assert cfg.train_cfg.max_epochs == epochs
    dataset = cfg.train_dataloader.dataset
    assert f'{dataset.data_root}/{dataset.ann_file}' == f'data/{FILES[data][0]}' and dataset.target == FILES[data][1]
    assert cfg.val_dataloader == cfg.test_dataloader
    assert cfg.val_dataloader.dataset == dict(dataset, split='test') != dataset
    assert cfg.model.training_set == dataset

    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    kinds = [type(layer).__name__ for layer in model.graph_layers]
    assert kinds == ([] if LAYERS[network] is None else 2 * [LAYERS[network]])
    assert type(model.loss_module).__name__ == dict(mse='MSELoss', slf='StochasticLoss')[loss]
    train = DATASETS.build(dataset)
    items = [train[index] for index in range(len(train))]
    data = {key: [item[key] for item in items] for key in items[0]}
    optimizer = torch.optim.Adam(model.parameters(), lr=cfg.optim_wrapper.optimizer.lr)

    def error():
        model.eval()
        targets = torch.stack([sample.gt_value for sample in data['data_samples']])
        found = torch.stack([sample.pred_value.detach() for sample in model(**data, mode='predict')])
        return (found - targets).abs().mean()

    before = error()
    for _ in range(6):
        loss = model.train()(**data, mode='loss')['loss']
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert error() < before


@pytest.mark.parametrize('path', [path for path in PATHS if '_slf_' in path.stem], ids=lambda path: path.stem)
def test_slf_differs_in_the_loss_alone(path):
    ours, theirs = (load(p).to_dict() for p in (path, path.with_name(path.name.replace('_slf_', '_mse_'))))
    assert ours['model'].pop('loss') == ours.pop('loss') and theirs['model'].pop('loss') == dict(type='MSELoss')
    assert ours == theirs


def test_the_index_and_the_readme_name_every_config():
    meta = yaml.safe_load((FOLDER / 'metafile.yml').read_text(encoding='utf-8'))
    assert sorted(ROOT / model['Config'] for model in meta['Models']) == PATHS
    readme = (FOLDER / 'README.md').read_text(encoding='utf-8')
    assert {FOLDER / link for link in re.findall(r'\]\(([^)]+\.py)\)', readme)} == set(PATHS)
    assert 'configs/graphs/metafile.yml' in yaml.safe_load((ROOT / 'model-index.yml').read_text())['Import']


def run(work_dir, epochs, resume=False):
    """Trains in this process; returns the last metrics of the log."""
    cfg = load(FOLDER / 'cheb_slf_1xb200-40e_dpp4.py').copy()
    name = f'{work_dir.name}_{epochs}'
    cfg.merge_from_dict(
        {
            'work_dir': str(work_dir),
            'experiment_name': name,
            'visualizer.name': name,
            'resume': resume,
            'randomness': dict(seed=0),
            'train_dataloader.batch_size': 16,
            'train_cfg': dict(max_epochs=epochs, val_interval=epochs),
            'default_hooks.checkpoint': dict(interval=2, max_keep_ckpts=5),
            'default_hooks.logger.interval': 1,
        }
    )
    Runner.from_cfg(cfg).train()
    log = max(work_dir.glob('*/vis_data/scalars.json'), key=lambda path: path.stat().st_mtime_ns)
    return [json.loads(line) for line in log.read_text(encoding='utf-8').splitlines()]


@pytest.fixture(scope='module')
def trained(folder, tmp_path_factory):
    """The work dir of a run of four epochs, and its log."""
    work_dir = tmp_path_factory.mktemp('run') / 'whole'
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return work_dir, run(work_dir, 4)


def test_learns_and_logs(trained):
    lines = trained[1]
    losses = [line['loss'] for line in lines if 'loss' in line]
    assert len(losses) == 16 and sum(losses[-4:]) < sum(losses[:4])
    names = {'MSELoss', 'L1Loss', 'Huber', 'AdaptiveRobustLoss'}
    assert sum(lines[0][f'balance_{name}'] for name in names) == pytest.approx(1)
    assert 0.3 < lines[-1]['regression/squared_correlation'] <= 1


def test_resume_to_the_bit(trained, folder, tmp_path, monkeypatch):
    monkeypatch.chdir(folder)
    run(tmp_path / 'resumed', 2)
    run(tmp_path / 'resumed', 4, resume=True)
    whole, resumed = (
        torch.load(path / 'epoch_4.pth', map_location='cpu', weights_only=False)['state_dict']
        for path in (trained[0], tmp_path / 'resumed')
    )
    assert whole.keys() == resumed.keys()
    assert [key for key in whole if not torch.equal(whole[key], resumed[key])] == []


def test_tools(trained, folder, run_tool, tmp_path):
    work_dir, lines = trained
    args = (FOLDER / 'cheb_slf_1xb200-40e_dpp4.py', work_dir / 'epoch_4.pth', '--work-dir', tmp_path)
    done = run_tool('test.py', *args, cwd=folder)
    found = re.search(r'regression/squared_correlation: ([\d.]+)', done.stdout)[1]
    assert float(found) == pytest.approx(lines[-1]['regression/squared_correlation'], abs=1e-4)
    done = run_tool('analysis_tools/report.py', work_dir)
    assert 'regression/squared_correlation' in (work_dir / 'report.html').read_text(encoding='utf-8')


def test_wrong_data_ends_the_training_with_one_line(run_tool, tmp_path):
    path = write_molecules(tmp_path / 'data' / FILES['dpp4'][0].removesuffix('.gz'))
    path.write_text(path.read_text().replace(',test', ',test\nC1CC,1.0,train', 1))
    line = path.read_text().splitlines().index('C1CC,1.0,train') + 1
    args = ('--work-dir', tmp_path / 'w', '--cfg-options', f'model.training_set.ann_file={path.name}')
    done = run_tool('train.py', FOLDER / 'fc_mse_1xb200-40e_dpp4.py', *args, cwd=tmp_path, check=False)
    assert done.returncode == 1
    assert f"train: MoleculeDataset: data/dpp4/{path.name}: line {line}: 'C1CC' is not a molecule" in done.stdout


def test_losses_are_arms_of_a_comparison(folder, tmp_path, monkeypatch):
    """As in README.md; each is trained for an epoch."""
    monkeypatch.chdir(folder)
    vary = [f'{name}: model.loss.type={loss}' for name, loss in ARMS.items()]
    assert all(f"'{arm}'" in (FOLDER / 'README.md').read_text(encoding='utf-8') for arm in vary)
    options = {'train_cfg.max_epochs': 1, 'train_cfg.val_interval': 1}
    mse, slf = parse_configs([str(FOLDER / f'fc_{name}_1xb200-40e_dpp4.py') for name in ('mse', 'slf')], options)
    arms = [Arm(mse.label), slf, *map(parse_options, vary)]
    experiment = Experiment(mse.cfg, arms, seeds=[0], work_dir=tmp_path)
    results = [train_and_evaluate(run.folder) for run in experiment.prepare()]
    assert len({result['fingerprint'] for result in results}) == 1  # the same molecules in the same order
    assert results[0]['fingerprint'] not in (None, '')
    report = Report(experiment)
    assert (report.metric, report.unit) == ('regression/squared_correlation', ' [%]') and not report.missing
    assert [row.label for row in report.rows] == ['mse', 'slf', *ARMS]
    losses = [load_loss(run.folder / 'config.py') for run in experiment.runs]
    assert losses == ['MSELoss', 'StochasticLoss', *ARMS.values()]


def load_loss(path):
    """The type of the loss of the model that a config builds."""
    return type(MODELS.build(Config.fromfile(path).model).loss_module).__name__
