"""Every config in the tree: parsed, its model built, named and indexed as mmdet does."""

import re

import pytest
import torch
import yaml
from mmdet.registry import MODELS
from mmdet.testing import demo_mm_inputs
from mmengine.config import Config

from ..helpers import CONFIGS, ROOT

YOLOV1_FAMILIES = ('yolov1', 'slf')
FAMILIES = (*YOLOV1_FAMILIES, 'balanced', 'digits', 'voc', 'segmentation', 'super_resolution')
ELSEWHERE = ('classification', 'clustering', 'gan', 'graphs', 'translation')  # families with tests of their own
PATHS = sorted(path for family in FAMILIES for path in (CONFIGS / family).glob('*.py'))
NAMES = [path.stem for path in PATHS]
YOLOV1_PATHS = [path for path in PATHS if path.parent.name in YOLOV1_FAMILIES]
BALANCED_PATHS = [path for path in PATHS if path.parent.name == 'balanced']
DETECTOR_PATHS = [path for path in PATHS if path.parent.name in ('digits', 'voc')]


def test_every_config_folder_is_covered_here():
    folders = {path.relative_to(CONFIGS).parts[0] for path in CONFIGS.glob('**/*.py')} - {'_base_'}
    assert folders == {*FAMILIES, *ELSEWHERE}


def balancer_of(path):
    """By the name of a config of YOLOv1."""
    prefixes = dict(slf_paper_='PaperSLFBalancer', slf_='SLFBalancer', yolov1_='StaticBalancer')
    return next(balancer for prefix, balancer in prefixes.items() if path.name.startswith(prefix))


@pytest.mark.parametrize('path', YOLOV1_PATHS, ids=lambda path: path.stem)
def test_parses_and_builds(path):
    cfg = Config.fromfile(path)
    with torch.device('meta'):  # no memory or time for YOLO's 200 million parameters
        model = MODELS.build(cfg.model)
    assert model.bbox_head.num_classes == _num_classes(cfg)
    assert type(model.bbox_head.loss_balancer).__name__ == balancer_of(path)
    assert cfg.val_evaluator.eval_mode == '11points'
    assert {'train_dataloader', 'val_dataloader', 'test_dataloader', 'optim_wrapper', 'auto_scale_lr'} <= set(cfg)


@pytest.mark.parametrize('path', DETECTOR_PATHS, ids=lambda path: path.stem)
def test_a_detector_learns_and_predicts(path):
    cfg = Config.fromfile(path)
    model = MODELS.build(cfg.model)
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    assert trained < (1e6 if path.parent.name == 'digits' else 2e6)
    head = model.roi_head.bbox_head if hasattr(model, 'roi_head') else model.bbox_head
    assert head.num_classes == _num_classes(cfg)
    masks = 'MaskRCNN' in type(model).__name__
    data = demo_mm_inputs(2, [(3, 112, 112)] * 2, num_classes=head.num_classes, with_mask=masks)
    losses = model.train()(**model.data_preprocessor(data, training=True), mode='loss')
    assert model.parse_losses(losses)[0].isfinite()
    with torch.no_grad():
        results = model.eval()(**model.data_preprocessor(data, training=False), mode='predict')
    assert len(results) == 2 and all(torch.isfinite(result.pred_instances.bboxes).all() for result in results)


@pytest.mark.parametrize('path', [*YOLOV1_PATHS, *DETECTOR_PATHS], ids=lambda path: path.stem)
def test_batch_and_epochs_are_as_the_name_says(path):
    gpus, batch, epochs = map(int, re.search(r'_(\d)xb(\d+)-(\d+)e_', path.stem).groups())
    cfg = Config.fromfile(path)
    assert cfg.train_dataloader.batch_size == batch
    assert cfg.auto_scale_lr.base_batch_size == gpus * batch
    assert cfg.train_cfg.max_epochs == epochs
    scale = next(step.scale for step in cfg.test_dataloader.dataset.pipeline if step.type == 'Resize')
    assert f'-{scale[0]}px' in path.stem


SLF_PATHS = [path for path in PATHS if path.parent.name == 'slf']
VALIDATION = [path for path in SLF_PATHS if path.name.startswith('slf_validation_')]
WITHOUT_SETTINGS = [path for path in SLF_PATHS if path not in VALIDATION]


def base_of(path):
    """The config of YOLOv1 with static weights that an SLF config inherits."""
    return Config.fromfile(CONFIGS / 'yolov1' / re.sub('^slf_(paper_|validation_)?', '', path.name)).to_dict()


@pytest.mark.parametrize('path', WITHOUT_SETTINGS, ids=lambda path: path.stem)
def test_an_slf_config_differs_from_its_base_in_the_balancer_alone(path):
    """Its settings are the defaults: the recommended ones, and the paper's."""
    base, ours = base_of(path), Config.fromfile(path).to_dict()
    assert ours['model']['bbox_head'].pop('loss_balancer') == dict(type=balancer_of(path))
    base['model']['bbox_head'].pop('loss_balancer')
    assert ours == base
    assert len(path.read_text(encoding='utf-8').splitlines()) <= 10


@pytest.mark.parametrize('path', VALIDATION, ids=lambda path: path.stem)
def test_validation_images_are_those_that_are_kept_out_of_training(path):
    base, ours = base_of(path), Config.fromfile(path).to_dict()
    signal = ours['model']['bbox_head'].pop('loss_balancer')['signal']
    assert signal['type'] == 'ValidationSignal'
    train, validation = ours['train_dataloader']['dataset'], signal['dataset']
    assert (train.pop('part'), validation.pop('part')) == ('train', 'held_out')
    assert train == validation and train['type'] == 'HeldOutSplit'
    assert train['dataset'] == base['train_dataloader']['dataset']
    for cfg in (base, ours):
        cfg['train_dataloader'].pop('dataset')
        cfg['model']['bbox_head'].pop('loss_balancer', None)
    assert {key: value for key, value in ours.items() if key in base} == base


@pytest.mark.parametrize('size', ['d24', 'd9', 'vgg16', 'nano', 'squeezenet'])
def test_algorithm_1_is_there_to_be_compared_with(size):
    assert {balancer_of(path) for path in YOLOV1_PATHS if f'yolov1_{size}_' in path.name} == {
        'StaticBalancer',
        'SLFBalancer',
        'PaperSLFBalancer',
    }


SAFE_HOOKS = {
    'BalanceMonitorHook',
    'CollapseGuardHook',
    'NonFiniteGuardHook',
    'RandomStateHook',
    'SafeResumeHook',
}


@pytest.mark.parametrize('path', BALANCED_PATHS, ids=lambda path: path.stem)
def test_a_balanced_config_differs_from_its_base_in_the_model_alone(path):
    cfg = Config.fromfile(path)
    with torch.device('meta'):
        model = MODELS.build(cfg.model)
    assert type(model.loss_balancer).__name__ == 'SLFBalancer'
    assert set(cfg.model.loss_balancer) == {'type', 'parts'}
    text = path.read_text(encoding='utf-8')
    assert len(text.splitlines()) <= 16
    base = re.search(r"^_base_ = \['(mmdet::.+)', '../_base_/balanced_runtime.py'\]$", text, re.MULTILINE).group(1)
    assert path.name == f'slf_{base.rsplit("/", 1)[-1]}'
    theirs, ours = Config.fromstring(f'_base_ = {base!r}', '.py').to_dict(), cfg.to_dict()
    model, plain = ours.pop('model'), theirs.pop('model')
    assert model.pop('loss_balancer') and model.pop('type') == 'BalancedDetector'
    assert dict(model, type=model.pop('detector_type')) == plain
    assert ours.pop('custom_imports')['imports'] == ['slf_mmdet']
    assert re.fullmatch(ours['log_processor'].pop('mean_pattern'), 'train/balance_cls')
    hooks = ours.pop('balanced_hooks')
    assert {hook['type'].partition('.')[2] for hook in hooks.values()} == SAFE_HOOKS
    assert {name: ours['default_hooks'].pop(name) for name in hooks} == hooks
    ours.pop('balanced_log')
    assert ours == theirs


def test_the_index_lists_every_config():
    index = yaml.safe_load((ROOT / 'model-index.yml').read_text(encoding='utf-8'))
    listed = []
    for metafile in index['Import']:
        meta = yaml.safe_load((ROOT / metafile).read_text(encoding='utf-8'))
        collections = {collection['Name']: collection for collection in meta['Collections']}
        for model in meta['Models']:
            assert model['In Collection'] in collections
            assert model['Name'] == (ROOT / model['Config']).stem
            listed.append(ROOT / model['Config'])
        assert all((ROOT / collection['README']).is_file() for collection in collections.values())
    assert sorted(path for path in listed if path.relative_to(CONFIGS).parts[0] in FAMILIES) == PATHS


@pytest.mark.parametrize('family', FAMILIES)
def test_the_readme_of_a_folder_names_its_configs(family):
    text = (CONFIGS / family / 'README.md').read_text(encoding='utf-8')
    assert [name for name in NAMES if (CONFIGS / family / f'{name}.py').is_file() and name not in text] == []


def _num_classes(cfg):
    dataset = cfg.test_dataloader.dataset
    return len(dataset.metainfo.classes) if 'metainfo' in dataset else 20
