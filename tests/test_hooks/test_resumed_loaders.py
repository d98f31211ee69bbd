"""A resumed run sees the images and the augmentations of the uninterrupted one, for every form of a data loader."""

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.hooks import CheckpointHook, Hook
from mmengine.model import BaseModel
from mmengine.registry import DATA_SAMPLERS, DATASETS
from mmengine.runner import Runner
from torch.utils.data import DataLoader, Sampler

from slf_mmdet.hooks import RandomStateHook
from slf_mmdet.hooks.random_state import real_sampler


@DATASETS.register_module()
class Numbers(BaseDataset):
    """Images by their number, each augmented by a random number of NumPy and one of PyTorch."""

    METAINFO = dict(classes=('even', 'odd'))

    def __init__(self, start=0):
        self.start = start
        super().__init__(serialize_data=False)

    def load_data_list(self):
        return [dict(number=self.start + i, width=3 + i % 3, height=4) for i in range(12)]

    def get_cat_ids(self, index):
        return [index % 2]

    def prepare_data(self, index):
        return dict(number=self.get_data_info(index)['number'], noise=(np.random.rand(), torch.rand(()).item()))


@DATA_SAMPLERS.register_module()
class Unseeded(Sampler):
    """Shuffles without a seed that anybody could set."""

    def __init__(self, dataset, seed=None):
        self.dataset = dataset

    def __iter__(self):
        return iter(np.random.default_rng().permutation(len(self.dataset)).tolist())

    def __len__(self):
        return len(self.dataset)


class Model(BaseModel):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))

    def forward(self, number, noise, mode='loss'):
        return dict(loss=self.weight * torch.rand(()))


class Seen(Hook):
    def __init__(self):
        self.batches = []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        noise = [[float(value) for value in values] for values in data_batch['noise']]
        self.batches.append((list(map(int, data_batch['number'])), noise))


def config(form, workers, **more):
    dataset = dict(type='Numbers')
    if form.pop('sources', False):
        dataset = dict(type='ConcatDataset', datasets=[dict(type='Numbers'), dict(type='Numbers', start=100)])
    if 'times' in form:
        dataset = dict(type='RepeatDataset', dataset=dataset, times=form.pop('times'))
    loop = dict(max_iters=9) if form.pop('by_iteration', False) else dict(max_epochs=3)
    loader = dict(batch_size=4, num_workers=workers, dataset=dataset, persistent_workers=workers > 0, **form)
    return Config(dict(train_dataloader=loader, train_cfg=dict(by_epoch='max_epochs' in loop, **loop), **more))


SHUFFLED = dict(type='DefaultSampler', shuffle=True)
INFINITE = dict(type='InfiniteSampler', shuffle=True)
SOURCES = dict(batch_size=4, source_ratio=[1, 1])
FORMS = {
    'sampler': dict(sampler=SHUFFLED),
    'aspect ratio': dict(sampler=SHUFFLED, batch_sampler=dict(type='mmdet.AspectRatioBatchSampler')),
    'classes': dict(sampler=dict(type='mmdet.ClassAwareSampler')),
    'repeat': dict(sampler=SHUFFLED, times=2),
    'sequential': dict(sampler=dict(type='DefaultSampler', shuffle=False)),
    'several': dict(sampler=dict(type='MultiDataSampler', dataset_ratio=[1, 1]), sources=True),
    'iterations': dict(sampler=SHUFFLED, by_iteration=True),
    'infinite': dict(sampler=INFINITE, by_iteration=True),
    'infinite, aspect ratio': dict(
        sampler=INFINITE, batch_sampler=dict(type='mmdet.AspectRatioBatchSampler'), by_iteration=True
    ),
    'sources': dict(sampler=dict(type='mmdet.MultiSourceSampler', **SOURCES), sources=True, by_iteration=True),
    'groups': dict(sampler=dict(type='mmdet.GroupMultiSourceSampler', **SOURCES), sources=True, by_iteration=True),
}


def run(cfg, work_dir, resume=False, seed=None, train_dataloader=None):
    torch.manual_seed(0 if resume else 1)
    np.random.seed(0 if resume else 1)  # what mmengine draws a seed from
    seen = Seen()
    by_epoch = cfg.train_cfg.by_epoch
    runner = Runner(
        Model(),
        str(work_dir),
        train_dataloader=train_dataloader or cfg.train_dataloader,
        train_cfg=cfg.train_cfg,
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
        default_hooks=dict(logger=None, checkpoint=None),
        custom_hooks=[RandomStateHook(), CheckpointHook(interval=1 if by_epoch else 3, by_epoch=by_epoch), seen],
        randomness=dict(seed=seed),
        resume=resume,
        default_scope='mmdet',
        cfg=cfg,
        experiment_name=f'{work_dir.name}_{resume}',
        log_level='WARNING',
    )
    warned = []
    runner.logger.warning = lambda text: warned.append(text) if 'RandomStateHook' in text else None
    runner.train()
    return seen.batches, warned


def resumed(cfg, tmp_path, **settings):
    """Batches of the uninterrupted run after its first checkpoint, those of the resumed one, and its warnings."""
    expected, _ = run(cfg, tmp_path, **settings)
    first = 'epoch_1.pth' if cfg.train_cfg.by_epoch else 'iter_3.pth'
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / first))
    iteration = torch.load(tmp_path / first)['meta']['iter']
    found, warned = run(cfg, tmp_path, resume=True, **settings)
    return expected[iteration:], found, warned


@pytest.mark.parametrize('seed', [None, 5])
@pytest.mark.parametrize('form', FORMS)
def test_the_same_images_and_augmentations(form, seed, tmp_path, monkeypatch):
    monkeypatch.setattr('time.sleep', lambda seconds: None)  # mmengine waits between epochs
    expected, found, warned = resumed(config(dict(FORMS[form]), workers=0), tmp_path, seed=seed)
    assert len(expected) >= 6 and found == expected and not warned
    assert len({noise[0] for _, batch in expected for noise in batch}) > 6  # augmentations differ


@pytest.mark.parametrize('form', ['aspect ratio', 'infinite'])
def test_with_workers(form, tmp_path):
    expected, found, warned = resumed(config(dict(FORMS[form]), workers=2), tmp_path)
    assert found == expected and not warned


# Where it is not exact, the run says why ------------------------------------------------------------------------------


def test_a_sampler_without_a_seed(tmp_path):
    _, warned = run(config(dict(sampler=dict(type='Unseeded')), 0), tmp_path)
    assert [text for text in warned if 'Unseeded has no seed' in text]


def test_another_number_of_workers(tmp_path):
    run(config(dict(FORMS['sampler']), workers=0), tmp_path)
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'epoch_1.pth'))
    _, warned = run(config(dict(FORMS['sampler']), workers=1), tmp_path, resume=True)
    assert [text for text in warned if 'num_workers was 0 and is 1 now' in text]


def test_a_checkpoint_within_an_epoch(tmp_path):
    cfg = config(dict(FORMS['sampler']), workers=0)
    run(cfg, tmp_path)
    checkpoint = torch.load(tmp_path / 'epoch_1.pth', weights_only=False)
    checkpoint['meta']['iter'] = 4
    torch.save(checkpoint, tmp_path / 'epoch_1.pth')
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'epoch_1.pth'))
    _, warned = run(cfg, tmp_path, resume=True)
    assert [text for text in warned if 'from within an epoch (4 iterations of 3 an epoch)' in text]


def test_a_loader_that_cannot_begin_anew(tmp_path):
    cfg = config(dict(FORMS['infinite']), workers=0)
    loader = DataLoader(
        Numbers(),
        batch_size=4,
        shuffle=True,
        collate_fn=lambda batch: None or {key: [each[key] for each in batch] for key in ('number', 'noise')},
    )
    cfg.pop('train_dataloader')
    _, warned = run(Config(dict(cfg)), tmp_path, train_dataloader=loader)
    assert [text for text in warned if 'IterBasedTrainLoop was given a data loader' in text]


def test_the_real_sampler():
    for name, kind in (('aspect ratio', 'DefaultSampler'), ('groups', 'GroupMultiSourceSampler')):
        loader = Runner.build_dataloader(config(dict(FORMS[name]), 0).train_dataloader, seed=3)
        assert type(real_sampler(loader)).__name__ == kind and real_sampler(loader).seed == 3
