"""The translation configs: three networks times five losses; short runs on two toy languages."""

import itertools
import json
import re

import pytest
import torch
import yaml
from mmdet.registry import MODELS
from mmengine.config import Config

from ..helpers import CONFIGS, ROOT

pytest.importorskip('tokenizers', reason="needs tokenizers: pip install 'slf-mmdet[text]'")

FOLDER = CONFIGS / 'translation'
PATHS = sorted(FOLDER.glob('*.py'))
FULL = [path for path in PATHS if 'small' not in path.stem]
NETWORKS = {'lstm-1': 'LSTMSeq2Seq', 'lstm-2': 'LSTMSeq2Seq', 'transformer': 'TransformerSeq2Seq'}
LOSSES = {
    'ce': 'TeacherForcing',
    'slf': 'TeacherForcing',
    'softmax-margin': 'SequenceSoftmaxMargin',
    'mixer': 'Mixer',
    'actor-critic': 'ActorCritic',
}
KEYS = {
    'ce': set(),
    'slf': set(),
    'softmax-margin': {'loss_margin', 'reward'},
    'mixer': {'loss_reinforce', 'loss_baseline', 'reward'},
    'actor-critic': {'loss_critic', 'loss_actor', 'reward'},
}
# Of the sampled losses, from the first iteration on
AT_ONCE = {'warmup_iters': 0, 'max_length': 6}
CANDIDATES = ('cross_entropy', 'label_smoothing', 'softmax_margin', 'bi_tempered')
GERMAN = ['ein', 'hund', 'katze', 'haus', 'baum', 'mann', 'frau', 'kind', 'rot', 'blau']
_numbers = itertools.count()
ENGLISH = ['a', 'dog', 'cat', 'house', 'tree', 'man', 'woman', 'child', 'red', 'blue']


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """A folder laid out as Multi30k's: word by word the same sentence in two languages."""
    root = tmp_path_factory.mktemp('texts')
    generator = torch.Generator().manual_seed(0)
    for name, count in (('train', 24), ('val', 6), ('test_2016_flickr', 6)):
        rows = [torch.randint(10, (3 + i % 3,), generator=generator).tolist() for i in range(count)]
        for suffix, words in (('de', GERMAN), ('en', ENGLISH)):
            text = ''.join(' '.join(words[i] for i in row) + '\n' for row in rows)
            (root / f'{name}.{suffix}').write_text(text, encoding='utf-8')
    return root


def options(data):
    """Changes to a config: the toy languages, and networks of few units."""
    root = str(data)
    found = {f'{split}_dataloader.dataset.data_root': root for split in ('train', 'val', 'test')}
    found.update(
        {
            'data_preprocessor.vocabulary.file': f'{root}/bpe.json',
            'data_preprocessor.vocabulary.vocab_size': 290,
            'data_preprocessor.vocabulary.corpus': [f'{root}/train.de', f'{root}/train.en'],
            'model.beam_size': 2,
            'model.max_length': 8,
            'train_dataloader.batch_size': 8,
        }
    )
    return found


def load(path, data):
    cfg = Config.fromfile(path)
    cfg.merge_from_dict(options(data))
    cfg.model.network.embed_dims = 16
    small = dict(hidden_dims=16) if 'lstm' in path.stem else dict(feedforward_dims=16, num_heads=2)
    cfg.model.network.update(small)
    if 'warmup_iters' in cfg.model.loss:
        cfg.model.loss.update(AT_ONCE)
    if 'critic' in cfg.model.loss:
        cfg.model.loss.update(critic_iters=0)
        cfg.model.loss.critic.update(embed_dims=8, hidden_dims=8)
    return cfg


def build(cfg):
    return MODELS.build(dict(cfg.model, data_preprocessor=cfg.data_preprocessor))


def test_every_network_comes_with_every_loss():
    assert {tuple(path.stem.split('_')[:2]) for path in FULL} == {(n, loss) for n in NETWORKS for loss in LOSSES}


@pytest.mark.parametrize('path', PATHS, ids=lambda path: path.stem)
def test_is_what_its_name_says(path):
    cfg = Config.fromfile(path)
    network, loss, schedule, data = path.stem.split('_')
    gpus, batch, epochs = map(int, re.fullmatch(r'(\d)xb(\d+)-(\d+)e', schedule).groups())
    assert cfg.train_dataloader.batch_size == batch
    assert cfg.auto_scale_lr.base_batch_size == gpus * batch
    assert cfg.train_cfg.max_epochs == epochs == cfg.param_scheduler[1].T_max == cfg.param_scheduler[1].end
    assert cfg.model.network.type == NETWORKS[network.replace('-small', '')]
    assert cfg.model.loss.type == LOSSES[loss]
    assert cfg.model.loss.get('loss', {}).get('type', 'StochasticLoss') == (
        'SmoothedCrossEntropyLoss' if loss == 'ce' else 'StochasticLoss'
    )
    if network.startswith('lstm'):
        assert cfg.model.network.num_layers == int(network[-1])
    assert cfg.train_dataloader.dataset.get('indices') == (10000 if '10k' in data else None)
    assert cfg.data_preprocessor.vocabulary.get('max_lines') == (10000 if '10k' in data else None)
    assert cfg.train_dataloader.dataset.source_file.endswith('.de')


@pytest.mark.parametrize('path', [path for path in PATHS if '_ce_' not in path.stem], ids=lambda path: path.stem)
def test_differs_from_cross_entropy_in_a_fragment_alone(path):
    ours = Config.fromfile(path).to_dict()
    name = re.sub(r'_[a-z-]+_1xb', '_ce_1xb', path.name)
    theirs = Config.fromfile(path.with_name(name)).to_dict()
    assert ours['model'].pop('loss') == ours.pop('loss')
    theirs['model'].pop('loss')
    assert ours == theirs
    assert len(path.read_text(encoding='utf-8').splitlines()) <= 3


@pytest.mark.parametrize('path', FULL, ids=lambda path: path.stem)
def test_schedules_of_sampled_losses_fit_the_epochs(path):
    cfg = Config.fromfile(path)
    loss, epoch = cfg.model.loss, -(-29000 // cfg.train_dataloader.batch_size)
    if 'warmup_iters' in loss:
        assert loss.warmup_iters == epoch * cfg.train_cfg.max_epochs / 2
    if loss.type == 'Mixer':
        assert loss.interval == epoch
    if loss.type == 'ActorCritic':
        assert loss.critic_iters == 2 * epoch


@pytest.mark.parametrize('path', PATHS, ids=lambda path: path.stem)
def test_trains_and_translates(path, data):
    from mmdet.registry import DATASETS
    from mmengine.dataset import pseudo_collate
    from mmengine.optim import OptimWrapper

    torch.manual_seed(0)
    cfg = load(path, data)
    model = build(cfg)
    model.init_weights()
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    batch = pseudo_collate([dataset[index] for index in range(8)])
    wrapper = OptimWrapper(torch.optim.Adam(model.parameters(), lr=0.01))
    logs = [model.train_step(batch, wrapper) for _ in range(6)]
    loss = path.stem.split('_')[1]
    assert set(logs[0]) == {'loss', 'loss_token', 'accuracy'} | KEYS[loss]
    assert all(value.isfinite() for log in logs for value in log.values())
    if loss in ('ce', 'slf'):
        assert logs[-1]['loss_token'] < logs[0]['loss_token']
    if loss == 'slf':
        assert tuple(model.loss_module.token_loss.mean_weights()) == CANDIDATES
    samples = model.eval().test_step(batch)
    assert [sample.target for sample in samples] == [dataset[index]['data_samples'].target for index in range(8)]
    assert all(isinstance(sample.prediction, str) for sample in samples)


@pytest.fixture
def run(data, run_tool, tmp_path):
    """Runs ``tools/train.py`` or ``tools/test.py`` on the toy languages with a config of a small network."""

    def run(tool, path, work_dir, *args, check=True, **settings):
        cfg = load(path, data)
        name = f'translation_{next(_numbers)}'  # of what mmengine keeps for the whole process
        cfg.merge_from_dict(
            {
                'experiment_name': name,
                'visualizer.name': name,
                'train_cfg.max_epochs': 2,
                'train_cfg.val_interval': 1,
                'default_hooks.logger.interval': 1,
                'randomness.seed': 0,
                'optim_wrapper.optimizer.lr': 0.01,
                **settings,
            }
        )
        cfg.dump(tmp_path / 'config.py')
        return run_tool(tool, tmp_path / 'config.py', *args, '--work-dir', work_dir, cwd=tmp_path, check=check)

    return run


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(value, other[key]) for key, value in one.items())


@pytest.mark.parametrize('name', ['transformer_slf', 'lstm-2_mixer', 'lstm-1_actor-critic'])
def test_resumed_run_equals_uninterrupted(name, run, tmp_path):
    path = FOLDER / f'{name}_1xb128-20e_multi30k-de-en.py'
    run('train.py', path, tmp_path / 'whole')
    end = torch.load(tmp_path / 'whole' / 'epoch_2.pth', weights_only=False)
    (tmp_path / 'whole' / 'epoch_2.pth').unlink()
    (tmp_path / 'whole' / 'last_checkpoint').write_text(str(tmp_path / 'whole' / 'epoch_1.pth'))
    run('train.py', path, tmp_path / 'whole', '--resume')
    again = torch.load(tmp_path / 'whole' / 'epoch_2.pth', weights_only=False)
    assert equal(end['state_dict'], again['state_dict'])
    assert not equal(
        torch.load(tmp_path / 'whole' / 'epoch_1.pth', weights_only=False)['state_dict'], end['state_dict']
    )
    lines = [
        json.loads(line)
        for log in sorted((tmp_path / 'whole').glob('*/vis_data/scalars.json'))
        for line in log.read_text(encoding='utf-8').splitlines()
    ]
    assert [line['step'] for line in lines if 'BLEU' in line] == [1, 2, 2]
    if 'slf' in name:
        assert all(f'balance_{each}' in line for line in lines if 'loss' in line for each in CANDIDATES)


def test_the_tool_for_tests_gives_the_figure_of_the_training_and_its_signature(run, data, tmp_path):
    path = FOLDER / 'lstm-1_ce_1xb128-20e_multi30k-de-en.py'
    split = {f'test_dataloader.dataset.{side}_file': f'val.{end}' for side, end in (('source', 'de'), ('target', 'en'))}
    learnt = {'train_cfg.max_epochs': 12, 'train_cfg.val_interval': 12, 'optim_wrapper.optimizer.lr': 0.03, **split}
    run('train.py', path, tmp_path / 'run', **learnt)
    (log,) = (tmp_path / 'run').glob('*/vis_data/scalars.json')
    (expected,) = [line['BLEU'] for line in map(json.loads, log.read_text().splitlines()) if 'BLEU' in line]
    done = run('test.py', path, tmp_path / 'test', tmp_path / 'run' / 'epoch_12.pth', **split)
    assert f'BLEU: {expected:.4f}' in done.stdout
    assert 'nrefs:1|case:lc|eff:no|tok:13a|smooth:exp|version:' in done.stdout
    # Another vocabulary, of the same size: its ids are other words
    (tmp_path / 'corpus').write_text('ganz andere worte stehen hier nicht oft genug da\n' * 3)
    other = {
        'data_preprocessor.vocabulary.file': str(tmp_path / 'other.json'),
        'data_preprocessor.vocabulary.corpus': [str(tmp_path / 'corpus')],
    }
    for size in (290, 280):
        other['data_preprocessor.vocabulary.vocab_size'] = size
        other['data_preprocessor.vocabulary.file'] = str(tmp_path / f'other-{size}.json')
        done = run('test.py', path, tmp_path / 'test', tmp_path / 'run' / 'epoch_12.pth', check=False, **other)
        assert done.returncode == 1
        assert re.search(rf'another vocabulary than that of .*other-{size}\.json, of {size} tokens', done.stdout)


def test_the_index_and_the_readme_name_every_config():
    meta = yaml.safe_load((FOLDER / 'metafile.yml').read_text(encoding='utf-8'))
    assert sorted(ROOT / model['Config'] for model in meta['Models']) == PATHS
    readme = (FOLDER / 'README.md').read_text(encoding='utf-8')
    assert {FOLDER / link for link in re.findall(r'\]\(([^)]+\.py)\)', readme)} == set(PATHS)
    index = yaml.safe_load((ROOT / 'model-index.yml').read_text(encoding='utf-8'))
    assert 'configs/translation/metafile.yml' in index['Import']
