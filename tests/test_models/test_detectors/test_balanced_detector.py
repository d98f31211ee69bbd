"""BalancedDetector: parts and context, hooks and checkpoints, from training to publishing and fine-tuning."""

import copy
import math
from ast import literal_eval
from unittest.mock import MagicMock

import pytest
import torch
from helpers import CONFIGS, DIGITS_SLF, IN_PROCESS
from mmdet.apis import DetInferencer
from mmdet.engine.hooks import YOLOXModeSwitchHook
from mmdet.registry import MODELS
from mmengine.config import Config, ConfigDict
from mmengine.runner import Runner, load_checkpoint
from tiny_detectors import CLASSES, SIZE, batch, build, tiny_model

from slf_mmdet.models.detectors.balanced_detector import log_context
from slf_mmdet.models.publish import plain_config, publish_checkpoint


@pytest.fixture(scope='module')
def data(digits):
    return batch(digits)


def loss_of(model, data):
    data = model.data_preprocessor(copy.deepcopy(data), training=True)
    torch.manual_seed(0)
    return model(**data, mode='loss')


def test_each_loss_is_a_part_where_none_are_given(data):
    cfg = tiny_model('faster_rcnn')
    cfg.loss_balancer = dict(type='StaticBalancer')
    model = build(cfg)
    assert model.loss_balancer.parts == ('rpn_cls', 'rpn_bbox', 'cls', 'bbox')
    plain = build(cfg.detector)
    total, theirs = (each.parse_losses(loss_of(each, data)) for each in (model, plain))
    assert torch.equal(total[0], theirs[0])  # in the same order, so to the bit


def test_base_weights_and_losses_in_no_part(data):
    cfg = tiny_model('faster_rcnn')
    cfg.loss_balancer = dict(type='StaticBalancer', parts=dict(box='loss_bbox'), base_weights=dict(box=3.0))
    ours, theirs = (loss_of(build(each), data) for each in (cfg, cfg.detector))
    assert set(ours) == {'loss_rpn_cls', 'loss_rpn_bbox', 'loss_cls', 'acc', 'loss_box', 'balance/box'}
    torch.testing.assert_close(ours['loss_box'], 3 * theirs['loss_bbox'])
    torch.testing.assert_close(ours['loss_rpn_cls'], theirs['loss_rpn_cls'])
    assert torch.equal(ours['acc'], theirs['acc'])


def test_what_the_decision_network_sees_of_the_parts():
    e = math.e
    context = log_context(dict(a=torch.tensor(e, requires_grad=True), b=torch.tensor(1 / e)))
    torch.testing.assert_close(context, torch.tensor([[1.0, -1.0, 1.0, -1.0, 1.0, -1.0]]))
    assert not context.requires_grad
    assert torch.isfinite(log_context(dict(a=torch.tensor(0.0)))).all()


def test_a_submodule_as_context(data):
    cfg = tiny_model('retinanet')
    model = build(dict(cfg, context='backbone'))
    seen = []
    model.loss_balancer.register_forward_pre_hook(
        lambda module, args, kwargs: seen.append(kwargs['context']), with_kwargs=True
    )
    inputs = model.data_preprocessor(copy.deepcopy(data), training=True)
    model(**inputs, mode='loss')
    (context,) = seen
    torch.testing.assert_close(context, model.detector.backbone(inputs['inputs'])[-1].mean((2, 3)))
    assert context.shape == (4, 64) and not context.requires_grad
    assert not model.detector.backbone._forward_hooks  # nothing stays at inference


def test_an_unknown_submodule():
    cfg = tiny_model('retinanet')
    cfg.loss_balancer.context_dim = 8
    model = build(dict(cfg, context='bakbone'))
    with pytest.raises(AttributeError, match="no submodule 'bakbone'; at the top"):
        model.loss(torch.zeros(1, 3, SIZE, SIZE), [])


def test_parts_that_cannot_be_found_are_asked_for():
    cfg = tiny_model('retinanet')
    cfg.loss_balancer.pop('parts')
    cfg.detector.backbone.in_channels = 5
    with pytest.raises(ValueError, match=r"Write them into loss_balancer, as in parts=dict\(cls='loss_cls'"):
        MODELS.build(cfg)


def test_a_detector_that_balances_itself_is_refused():
    detector = Config.fromfile(DIGITS_SLF).model
    with pytest.raises(ValueError, match='give bbox_head.loss_balancer the balancer, and leave BalancedDetector out'):
        MODELS.build(dict(type='BalancedDetector', detector=detector, loss_balancer=dict(type='StaticBalancer')))


def test_starts_from_the_network_that_the_plain_detector_starts_from():
    cfg = tiny_model('retinanet')
    ours, theirs = build(cfg).detector.state_dict(), build(cfg.detector).state_dict()
    assert all(torch.equal(ours[key], value) for key, value in theirs.items())


def test_hooks_find_the_detector(data):
    model = build(tiny_model('yolox'))
    loss_of(model, data)
    assert not model.detector.bbox_head.use_l1
    YOLOXModeSwitchHook(num_last_epochs=1).before_train_epoch(MagicMock(model=model, epoch=1, max_epochs=2))
    assert model.detector.bbox_head.use_l1
    # loss_l1, which begins here, is in the part box
    assert {key for key in loss_of(model, data) if 'loss' in key} == {'loss_cls', 'loss_obj', 'loss_box'}
    assert model.with_neck and not hasattr(model, 'no_such_thing')


def run_config(digits, work_dir, epochs=1, **kwargs):
    """A RetinaNet on 8 images of the digits, evaluated on 16."""
    cfg = Config.fromfile(CONFIGS / 'yolov1/yolov1_nano_1xb16-12e_digits-112px.py')
    cfg.model = tiny_model('retinanet')
    cfg.model.detector.test_cfg.score_thr = 0.0  # it has learnt next to nothing
    cfg.merge_from_dict({key: literal_eval(value) for key, value in (option.split('=') for option in IN_PROCESS)})
    for name in ('train', 'val', 'test'):
        dataset = cfg[f'{name}_dataloader'].dataset
        dataset.data_root = str(digits / dataset.data_root) + '/'
    cfg.train_dataloader.update(batch_size=4)
    cfg.train_dataloader.dataset.indices = 8
    cfg.train_cfg.update(max_epochs=epochs, val_interval=10)
    cfg.param_scheduler = []
    cfg.optim_wrapper.optimizer.lr = 1e-3
    cfg.merge_from_dict(dict(work_dir=str(work_dir), randomness=dict(seed=0, deterministic=True), **kwargs))
    cfg.visualizer = dict(type='DetLocalVisualizer', name=f'vis_{work_dir.name}')
    return cfg


def train(cfg):
    cfg.experiment_name = str(cfg.work_dir).replace('/', '_') + str(cfg.train_cfg.max_epochs) + str(cfg.resume)
    runner = Runner.from_cfg(cfg)
    runner.train()
    return runner


@pytest.fixture(scope='module')
def trained(digits, tmp_path_factory):
    """(config, checkpoint) of two epochs."""
    work_dir = tmp_path_factory.mktemp('trained')
    cfg = run_config(digits, work_dir, epochs=2)
    train(cfg)
    return cfg, work_dir / 'epoch_2.pth'


def state_of(path):
    return torch.load(path, weights_only=True)['state_dict']


def test_resumed_run_equals_uninterrupted(trained, digits, tmp_path):
    train(run_config(digits, tmp_path, epochs=1))
    train(run_config(digits, tmp_path, epochs=2, resume=True))
    ours, theirs = state_of(tmp_path / 'epoch_2.pth'), state_of(trained[1])
    assert set(ours) == set(theirs)
    assert all(torch.equal(value, theirs[key]) for key, value in ours.items())


def published(path, target):
    torch.save(publish_checkpoint(torch.load(path, weights_only=True)), target)
    return target


def test_published_checkpoint_is_one_of_the_plain_detector(trained, tmp_path):
    cfg, path = trained
    target = published(path, tmp_path / 'published.pth')
    checkpoint = torch.load(target, weights_only=True)
    assert set(checkpoint) == {'meta', 'state_dict'}
    assert len(checkpoint['meta']['dataset_meta']['classes']) == CLASSES
    plain = MODELS.build(cfg.model.detector)
    plain.load_state_dict(checkpoint['state_dict'])  # strict
    # and back into the balanced one
    balanced = build(cfg.model, seed=1)
    load_checkpoint(balanced, str(target))
    for key, value in plain.state_dict().items():
        assert torch.equal(balanced.detector.state_dict()[key], value)


def test_the_inferencer_takes_both(trained, digits, tmp_path):
    path = trained[1]
    image = str(next((digits / 'data').rglob('*.jpg')))
    results = []
    for weights in (path, published(path, tmp_path / 'published.pth')):  # each with the config inside
        inferencer = DetInferencer(weights=str(weights), device='cpu', show_progress=False)
        results.append(inferencer(image, no_save_vis=True)['predictions'][0])
        assert type(inferencer.model).__name__ == ('BalancedDetector' if weights == path else 'RetinaNet')
    assert results[0] == results[1] and len(results[0]['scores']) > 0


def test_fine_tuning_a_published_checkpoint_with_a_balancer(trained, digits, tmp_path):
    target = published(trained[1], tmp_path / 'published.pth')
    cfg = run_config(digits, tmp_path / 'tuned', load_from=str(target))
    cfg.optim_wrapper.optimizer = dict(type='SGD', lr=0.0)
    runner = train(cfg)
    expected = state_of(target)
    ours = dict(runner.model.detector.named_parameters())
    assert ours and all(torch.equal(value, expected[key]) for key, value in ours.items())


@pytest.mark.parametrize('where', ['inside', 'outside'])
def test_pretrained_of_init_cfg(where, trained, tmp_path):
    target = published(trained[1], tmp_path / 'published.pth')
    cfg = copy.deepcopy(trained[0].model)
    (cfg.detector if where == 'inside' else cfg)['init_cfg'] = dict(type='Pretrained', checkpoint=str(target))
    model = build(cfg, seed=1)
    assert all(torch.equal(model.detector.state_dict()[key], value) for key, value in state_of(target).items())


def test_test_time_augmentation_is_that_of_the_plain_detector(trained, data, tmp_path):
    cfg, path = trained
    for sample in data['data_samples']:
        sample.set_metainfo(dict(img_id=0))
    views = {key: [value, value] for key, value in data.items()}
    results = []
    for module, weights in ((cfg.model, path), (cfg.model.detector, published(path, tmp_path / 'published.pth'))):
        tta_cfg = ConfigDict(nms=dict(type='nms', iou_threshold=0.5), max_per_img=5)
        model = MODELS.build(dict(type='DetTTAModel', tta_cfg=tta_cfg, module=copy.deepcopy(module)))
        load_checkpoint(model, str(weights))
        results.append(model.eval().test_step(copy.deepcopy(views)))
    for ours, theirs in zip(*results):
        assert len(ours.pred_instances) == 5
        assert torch.equal(ours.pred_instances.bboxes, theirs.pred_instances.bboxes)
        assert torch.equal(ours.pred_instances.scores, theirs.pred_instances.scores)


def test_a_yolov1_is_published_without_the_balancer_of_its_head():
    cfg = Config.fromfile(DIGITS_SLF)
    model = MODELS.build(cfg.model)
    checkpoint = dict(
        state_dict=model.state_dict(),
        meta=dict(cfg=cfg.pretty_text, dataset_meta=dict(classes=('a',)), epoch=3),
        optimizer=dict(state={}),
    )
    result = publish_checkpoint(checkpoint)
    assert not any('loss_balancer' in key for key in result['state_dict'])
    assert result['meta']['dataset_meta'] == dict(classes=('a',))
    plain = Config.fromstring(result['meta']['cfg'], '.py')
    assert 'loss_balancer' not in plain.model.bbox_head
    MODELS.build(plain.model).load_state_dict(result['state_dict'])  # strict
    expected = cfg.to_dict()
    expected['model']['bbox_head'].pop('loss_balancer')
    assert plain.to_dict() == expected


def test_configs_of_both_forms_of_a_dict():
    text = "a = 1\nmodel = {'type': 'BalancedDetector', 'detector': {'x-y': dict(loss_balancer=dict())}, **b}\n"
    assert plain_config(text) == "a = 1\nmodel = {'x-y': dict()}\n"


def test_publishing_something_else():
    with pytest.raises(ValueError, match=r"no state_dict, but \['weights'\]"):
        publish_checkpoint(dict(weights={}))


@pytest.mark.parametrize('balancer', [dict(type='SLFBalancer', objective='heldout'), dict(type='GradNormBalancer')])
@pytest.mark.parametrize(('shared_layer', 'layer'), [(None, 'neck'), ('backbone.layer3', 'backbone.layer3')])
def test_gradients_of_the_parts_are_taken_at_the_shared_layer(data, balancer, shared_layer, layer):
    cfg = tiny_model('retinanet')
    cfg.loss_balancer = dict(balancer, parts=cfg.loss_balancer.parts)
    model = build(dict(cfg, shared_layer=shared_layer)).train()
    weights = [value for value in model.detector.get_submodule(layer).parameters() if value.dim() > 1]
    seen = []
    model.loss_balancer.register_forward_pre_hook(
        lambda module, args, kwargs: seen.extend(kwargs['shared']), with_kwargs=True
    )
    before = {key: value.clone() for key, value in model.loss_balancer.state_dict().items()}
    sum(value for key, value in loss_of(model, data).items() if 'loss' in key and torch.is_tensor(value)).backward()
    assert [id(value) for value in seen] == [id(value) for value in weights]
    assert any(
        value.shape != before[key].shape or not torch.equal(value, before[key])
        for key, value in model.loss_balancer.state_dict().items()
    )


def test_a_shared_layer_without_weights():
    cfg = tiny_model('retinanet')
    cfg.loss_balancer = dict(type='GradNormBalancer', parts=cfg.loss_balancer.parts)
    for wrong in ('nekc', 'bbox_head.loss_cls'):
        with pytest.raises(ValueError, match=f"shared_layer='{wrong}' is no submodule of RetinaNet with weights"):
            build(dict(cfg, shared_layer=wrong))
