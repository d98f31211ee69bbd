"""A balanced detector is the plain one to mmdet: its methods, names, checkpoints, hooks, optimizers and wrappers."""

import copy
import pickle
from unittest.mock import MagicMock

import pytest
import torch
from mmdet.apis import inference_detector, init_detector
from mmdet.engine.hooks import (
    CheckInvalidLossHook,
    MeanTeacherHook,
    NumClassCheckHook,
    SetEpochInfoHook,
    YOLOXModeSwitchHook,
)
from mmdet.engine.optimizers import LearningRateDecayOptimizerConstructor
from mmdet.models.detectors import BaseDetector, RetinaNet, SemiBaseDetector
from mmdet.registry import MODELS
from mmengine.config import Config, ConfigDict
from mmengine.hooks import EMAHook
from mmengine.model import ExponentialMovingAverage
from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapper

from slf_mmdet.models.detectors.balanced_detector import BalancedDetector

from .tiny_detectors import CLASSES, WIDTH, batch, build, mmdet_model, tiny_model, unbalanced

STATIC = dict(type='StaticBalancer')
WRAPPED = ('soft_teacher', 'distillation', 'retinanet', 'faster_rcnn', 'yolox', 'detr')


@pytest.fixture(scope='module')
def data(digits):
    return batch(digits)


def detector(name):
    """Config of a plain detector."""
    if name == 'soft_teacher':
        cfg = mmdet_model('soft_teacher/soft-teacher_faster-rcnn_r50-caffe_fpn_180k_semi-0.1-coco.py')
        faster_rcnn = unbalanced(tiny_model('faster_rcnn'))
        cfg.detector = dict(faster_rcnn, data_preprocessor=cfg.detector.data_preprocessor)
        return cfg
    if name == 'distillation':
        cfg = mmdet_model('ld/ld_r18-gflv1-r101_fpn_1x_coco.py')
        teacher = mmdet_model('gfl/gfl_r50_fpn_1x_coco.py')
        retinanet = unbalanced(tiny_model('retinanet'))
        for each in (cfg, teacher):
            each.update(
                backbone=retinanet.backbone, neck=dict(each.neck, in_channels=[8, 16, 32, 64], out_channels=WIDTH)
            )
            each.bbox_head.update(num_classes=CLASSES, in_channels=WIDTH, feat_channels=WIDTH, stacked_convs=1)
            each.bbox_head.norm_cfg = dict(type='GN', num_groups=4)
        return ConfigDict(cfg, teacher_config=dict(model=teacher), teacher_ckpt=None)
    return unbalanced(tiny_model(name))


def parts_of(name):
    return {'soft_teacher': dict(cls='sup_loss_cls'), 'distillation': dict(cls='loss_cls', ld='loss_ld')}.get(name)


def pair(name):
    """The plain detector and the balanced one, from the same initial weights."""
    cfg = detector(name)
    parts = parts_of(name) or tiny_model(name).loss_balancer.parts
    return build(cfg), build(balanced(cfg, parts))


def balanced(cfg, parts):
    """In the form of a config that inherits from the plain one."""
    return ConfigDict(cfg, type='BalancedDetector', detector_type=cfg.type, loss_balancer=dict(STATIC, parts=parts))


def own(state):
    """What a balanced detector adds left out."""
    return {key: value for key, value in state.items() if not key.startswith('loss_balancer.')}


def same(ours, theirs):
    return list(ours) == list(theirs) and all(torch.equal(ours[key], value) for key, value in theirs.items())


@pytest.mark.parametrize('name', WRAPPED)
def test_its_class_names_and_initial_weights_are_those_of_the_detector(name):
    plain, ours = pair(name)
    assert isinstance(ours, BalancedDetector) and isinstance(ours, type(plain))
    assert type(ours).__name__ == f'Balanced{type(plain).__name__}'
    assert same(own(dict(ours.named_parameters())), dict(plain.named_parameters()))
    assert same(own(ours.state_dict()), plain.state_dict())
    assert [key for key, _ in ours.named_children() if key != 'loss_balancer'] == [k for k, _ in plain.named_children()]


def test_both_forms_of_the_config_are_the_same_model():
    cfg, parts = detector('retinanet'), tiny_model('retinanet').loss_balancer.parts
    whole = dict(type='BalancedDetector', detector=cfg, loss_balancer=dict(STATIC, parts=parts))
    inherited, given = build(balanced(cfg, parts)), build(whole)
    assert type(inherited) is type(given) and same(inherited.state_dict(), given.state_dict())
    overruled = build(dict(whole, test_cfg=dict(score_thr=0.5)))
    assert overruled.test_cfg == dict(score_thr=0.5) and given.test_cfg == cfg.test_cfg


@pytest.mark.parametrize('given', [{}, dict(detector='RetinaNet'), dict(backbone=dict(type='ResNet'))])
def test_no_detector(given):
    with pytest.raises(TypeError, match=r"give detector_type='RetinaNet' .* or detector=dict\(type='RetinaNet'"):
        MODELS.build(dict(type='BalancedDetector', loss_balancer=STATIC, **given))


# Overridden methods ---------------------------------------------------------------------------------------------------


def modes(model):
    found = {key: module.training for key, module in model.named_modules() if not key.startswith('loss_balancer')}
    teacher = getattr(model, 'teacher_model', None)
    return found, teacher is not None and {key: module.training for key, module in teacher.named_modules()}


@pytest.mark.parametrize('name', WRAPPED)
@pytest.mark.parametrize('mode', [True, False])
def test_train(name, mode):
    plain, ours = pair(name)
    plain.train(mode), ours.train(mode)
    assert modes(ours) == modes(plain)


@pytest.mark.parametrize('move', [lambda model: model.to(device='meta'), lambda model: model.to('meta')])
def test_a_teacher_that_is_no_child_follows_to_another_device(move):
    for model in pair('distillation'):
        move(model)
        tensors = [*model.parameters(), *model.teacher_model.parameters()]
        assert len(tensors) > 50 and {each.device.type for each in tensors} == {'meta'}


def test_init_weights_again():
    plain, ours = pair('retinanet')
    for model in (plain, ours):
        torch.manual_seed(3)
        model._is_init = False
        model.init_weights()
    assert same(own(ours.state_dict()), plain.state_dict())


@pytest.mark.parametrize('name', [name for name in WRAPPED if name != 'soft_teacher'])
def test_train_step_and_predictions(name, data):
    plain, ours = pair(name)
    logs, states, found = [], [], []
    for model in (plain, ours):
        torch.manual_seed(0)
        wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=1e-3))
        model.train()
        logs.append([model.train_step(copy.deepcopy(data), wrapper)['loss'] for _ in range(2)])
        states.append(own(model.state_dict()))
        model.eval()
        with torch.no_grad():
            found.append([sample.pred_instances.scores for sample in model.test_step(copy.deepcopy(data))])
    torch.testing.assert_close(logs[1], logs[0])
    torch.testing.assert_close(states[1], states[0])
    torch.testing.assert_close(found[1], found[0])


def test_a_semi_supervised_step():
    """Balanced are the losses by their keys; the teacher's pseudo labels are made as in the plain detector."""
    plain, ours = pair('soft_teacher')
    assert isinstance(ours, SemiBaseDetector)
    losses = []
    for model in (plain, ours):
        model.train().teacher.eval()
        inputs, samples = synthetic()
        torch.manual_seed(0)
        batches = {key: inputs.clone() for key in ('sup', 'unsup_teacher', 'unsup_student')}
        data_samples = {key: copy.deepcopy(samples) for key in batches}
        for sample in data_samples['unsup_teacher'] + data_samples['unsup_student']:
            sample.set_metainfo(dict(homography_matrix=torch.eye(3).numpy()))
        losses.append(model(batches, data_samples, mode='loss'))
    assert {'sup_loss_cls', 'unsup_loss_cls'} <= set(losses[0])
    assert torch.equal(losses[1]['loss_cls'], losses[0]['sup_loss_cls'])
    unchanged = {key: value for key, value in losses[1].items() if key in losses[0]}
    assert set(losses[0]) - set(unchanged) == {'sup_loss_cls'}
    torch.testing.assert_close(unchanged, {key: losses[0][key] for key in unchanged})


def test_a_semi_supervised_detector_says_which_signals_it_has():
    cfg = balanced(detector('soft_teacher'), parts_of('soft_teacher'))
    cfg.loss_balancer = dict(type='SLFBalancer', parts=parts_of('soft_teacher'))
    model = build(cfg).train()
    inputs, samples = synthetic()
    for sample in samples:
        sample.set_metainfo(dict(homography_matrix=torch.eye(3).numpy()))
    keys = ('sup', 'unsup_teacher', 'unsup_student')
    with pytest.raises(ValueError, match=r"SoftTeacher .*signal=dict\(type='LossRate'\)"):
        model(dict.fromkeys(keys, inputs), {key: copy.deepcopy(samples) for key in keys}, mode='loss')


def synthetic():
    from slf_mmdet.models.detectors.random_batch import random_batch

    torch.manual_seed(0)
    return random_batch(128, with_masks=False)


# Copies and checkpoints -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize('copied', [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
@pytest.mark.parametrize('name', ['retinanet', 'distillation', 'soft_teacher'])
def test_copies(name, copied, data):
    _, ours = pair(name)
    other = copied(ours)
    assert type(other) is type(ours) and same(other.state_dict(), ours.state_dict())
    next(other.parameters()).data.zero_()
    assert next(ours.parameters()).abs().sum() > 0
    if name == 'retinanet':
        inputs = ours.data_preprocessor(copy.deepcopy(data), training=True)
        assert 'balance_cls' in other(**inputs, mode='loss')


@pytest.mark.parametrize('name', ['soft_teacher', 'faster_rcnn', 'retinanet'])
def test_checkpoints_go_where_they_go_in_the_plain_detector(name):
    """SoftTeacher: both student and teacher take a supervised one. Two-stage: of an RPN. Single-stage: the same."""
    supervised = build(detector('faster_rcnn' if name == 'soft_teacher' else name)).state_dict()
    supervised = {key: torch.full_like(value, 2) for key, value in supervised.items()}
    if name == 'faster_rcnn':  # of an RPN, whose head is bbox_head there
        supervised = {k.replace('rpn_head.', 'bbox_head.'): v for k, v in supervised.items() if 'roi_head' not in k}
    loaded = []
    for model in pair(name):
        result = model.load_state_dict(copy.copy(supervised), strict=False)
        loaded.append((own(model.state_dict()), sorted(result.unexpected_keys)))
        added = {key for key in result.missing_keys if key.startswith('loss_balancer.')}
        loaded[-1] += (sorted(set(result.missing_keys) - added),)
    assert same(loaded[1][0], loaded[0][0]) and loaded[1][1:] == loaded[0][1:]
    assert sum((value == 2).all().item() for value in loaded[1][0].values()) >= len(supervised)


def test_a_checkpoint_of_a_version_that_held_the_detector():
    _, ours = pair('retinanet')
    state = {
        key if key.startswith('loss_balancer.') else f'detector.{key}': value + 1
        for key, value in ours.state_dict().items()
    }
    expected = {key: value + 1 for key, value in ours.state_dict().items()}
    ours.load_state_dict(state)  # strict
    assert same(ours.state_dict(), expected)


# Optimizers -----------------------------------------------------------------------------------------------------------

CONVNEXT = dict(
    type='mmpretrain.ConvNeXt',
    arch=dict(depths=[1, 1, 3, 1], channels=[8, 16, 32, 64]),
    out_indices=[0, 1, 2, 3],
    gap_before_final_norm=False,
)


@pytest.mark.parametrize(
    ('constructor', 'paramwise'),
    [
        (DefaultOptimWrapperConstructor, dict(custom_keys=dict(backbone=dict(lr_mult=0.1)), norm_decay_mult=0.0)),
        (DefaultOptimWrapperConstructor, dict(bias_lr_mult=2.0)),
        (LearningRateDecayOptimizerConstructor, dict(decay_rate=0.7, decay_type='layer_wise', num_layers=6)),
        (LearningRateDecayOptimizerConstructor, dict(decay_rate=0.7, decay_type='stage_wise', num_layers=4)),
    ],
)
def test_settings_of_each_parameter(constructor, paramwise):
    import mmpretrain.models  # noqa: F401  registers ConvNeXt

    cfg = detector('retinanet')
    if constructor is LearningRateDecayOptimizerConstructor:
        cfg.backbone = CONVNEXT
    settings = []
    for model in (build(cfg), build(balanced(cfg, dict(cls='loss_cls')))):
        optimizer = dict(type='AdamW', lr=1e-3, weight_decay=0.05)
        built = constructor(dict(optimizer=optimizer), paramwise)(model).optimizer
        names = {id(value): key for key, value in model.named_parameters()}
        of = {
            names[id(value)]: (group['lr'], group['weight_decay'])
            for group in built.param_groups
            for value in group['params']
        }
        settings.append(own(of))
    assert settings[1] == settings[0] and len(set(settings[0].values())) > 1


# Hooks ----------------------------------------------------------------------------------------------------------------


def runner(model, **more):
    return MagicMock(model=model, epoch=1, iter=1, max_epochs=2, **more)


def test_yolox_mode_switch():
    for model in pair('yolox'):
        YOLOXModeSwitchHook(num_last_epochs=1).before_train_epoch(runner(model))
        assert model.bbox_head.use_l1


def test_set_epoch_info():
    for model in pair('retinanet'):
        seen = []
        object.__setattr__(model, 'set_epoch', seen.append)
        SetEpochInfoHook().before_train_epoch(runner(model))
        assert seen == [1]


def test_mean_teacher():
    states = []
    for model in pair('soft_teacher'):
        for value in model.student.parameters():
            value.data.fill_(1.0)
        hook = MeanTeacherHook(momentum=0.25)
        hook.before_train(MagicMock(model=model, iter=1))
        hook.after_train_iter(MagicMock(model=model, iter=1), 0)
        states.append(dict(model.teacher.named_parameters()))
    assert same(states[1], states[0])


@pytest.mark.parametrize('classes', [CLASSES, CLASSES + 1])
def test_number_of_classes(classes):
    found = []
    for model in pair('faster_rcnn'):
        loader = MagicMock()
        loader.dataset.metainfo = dict(classes=tuple(str(i) for i in range(classes)))
        try:
            NumClassCheckHook().before_train_epoch(runner(model, train_dataloader=loader))
            found.append('fits')
        except AssertionError as error:
            found.append(str(error).replace('Balanced', ''))
    assert found[1] == found[0] and (found[0] == 'fits') == (classes == CLASSES)


def test_a_loss_that_is_not_finite():
    for model in pair('retinanet'):
        with pytest.raises(AssertionError):  # the message is what the logger returns
            CheckInvalidLossHook(interval=1).after_train_iter(
                MagicMock(model=model, iter=0), 0, None, dict(loss=torch.tensor(float('nan')))
            )


def test_exponential_moving_average():
    states = []
    for model in pair('retinanet'):
        hook, run = EMAHook(momentum=0.5), MagicMock(model=model, iter=0)
        hook.before_run(run)
        assert isinstance(hook.ema_model, ExponentialMovingAverage)
        for value in model.parameters():
            value.data.add_(1.0)
        hook.after_train_iter(run, 0)
        hook.before_val_epoch(run)  # the averages are in the model now
        states.append(own(model.state_dict()))
    assert same(states[1], states[0])


# mmdet's functions ----------------------------------------------------------------------------------------------------


def test_init_detector_without_options(digits, tmp_path):
    """It looks for the backbone in ``model`` of the config."""
    from .digits_runs import run_config

    results = []
    for name, model in (('plain', detector('retinanet')), ('balanced', tiny_model('retinanet'))):
        model.test_cfg.score_thr = 0.0
        cfg = run_config(digits, tmp_path / name, model=model)
        path = tmp_path / f'{name}.pth'
        torch.save(dict(state_dict=build(model).state_dict(), meta={}), path)
        found = init_detector(Config(cfg.to_dict()), str(path), device='cpu')
        assert isinstance(found, BaseDetector) and isinstance(found, RetinaNet)
        image = str(next((digits / 'data').rglob('*.jpg')))
        results.append(inference_detector(found, image).pred_instances)
    assert len(results[0]) and torch.equal(results[0].scores, results[1].scores)
