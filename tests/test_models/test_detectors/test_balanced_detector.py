"""BalancedDetector: parts and features, hooks and checkpoints, from training to publishing and fine-tuning."""

import copy
import math
from unittest.mock import MagicMock

import pytest
import torch
from mmdet.apis import DetInferencer
from mmdet.engine.hooks import YOLOXModeSwitchHook
from mmdet.registry import MODELS
from mmengine.config import Config, ConfigDict
from mmengine.runner import load_checkpoint

from slf_mmdet.models.detectors.balanced_detector import detector_config, log_features
from slf_mmdet.models.publish import plain_config, publish_checkpoint

from ...helpers import DIGITS_SLF
from .digits_runs import run_config, train
from .tiny_detectors import CLASSES, SIZE, batch, build, tiny_model, unbalanced

STATIC = dict(type='StaticBalancer')


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
    plain = build(unbalanced(cfg))
    total, theirs = (each.parse_losses(loss_of(each, data)) for each in (model, plain))
    assert torch.equal(total[0], theirs[0])  # in the same order, so to the bit


def test_base_weights_and_losses_in_no_part(data):
    cfg = tiny_model('faster_rcnn')
    cfg.loss_balancer = dict(type='StaticBalancer', parts=dict(box='loss_bbox'), base_weights=dict(box=3.0))
    ours, theirs = (loss_of(build(each), data) for each in (cfg, unbalanced(cfg)))
    assert set(ours) == {'loss_rpn_cls', 'loss_rpn_bbox', 'loss_cls', 'acc', 'loss_box', 'balance_box'}
    torch.testing.assert_close(ours['loss_box'], 3 * theirs['loss_bbox'])
    torch.testing.assert_close(ours['loss_rpn_cls'], theirs['loss_rpn_cls'])
    assert torch.equal(ours['acc'], theirs['acc'])


def test_what_the_decision_network_sees_of_the_parts():
    e = math.e
    parts = dict(a=torch.tensor(e, requires_grad=True), b=torch.tensor(1 / e))
    features = log_features(parts)
    torch.testing.assert_close(features.detach(), torch.tensor([[1.0, -1.0, 1.0, -1.0, 1.0, -1.0]]))
    # d log(a) / da = 1 / e, in column 0; minus that in column 3
    slopes = [torch.autograd.grad(column, parts['a'], retain_graph=True)[0].item() for column in features[0, [0, 3]]]
    assert slopes == pytest.approx([1 / e, -1 / e])
    assert torch.isfinite(log_features(dict(a=torch.tensor(0.0)))).all()


def test_a_submodule_as_features(data):
    cfg = tiny_model('retinanet')
    model = build(dict(cfg, features='backbone'))
    seen = watch(model.loss_balancer)
    inputs = model.data_preprocessor(copy.deepcopy(data), training=True)
    model(**inputs, mode='loss')
    (features,) = (kwargs['features'] for kwargs in seen)
    torch.testing.assert_close(features, model.backbone(inputs['inputs'])[-1].mean((2, 3)))
    assert features.shape == (4, 64) and features.requires_grad
    assert not model.backbone._forward_hooks  # nothing stays at inference


def watch(balancer):
    """What the balancer will be given besides the parts, one dict for each step."""
    seen = []
    balancer.register_forward_pre_hook(lambda module, args, kwargs: seen.append(kwargs), with_kwargs=True)
    return seen


@pytest.mark.parametrize('features', ['backbone', 'neck'])
def test_algorithm_1_trains_the_backbone_through_the_decision_network(features, data):
    """The rest of its gradient is that of the parts, weighed: what features without a graph leave."""
    model = balanced(dict(type='PaperSLFBalancer'), features)
    draws = copy.deepcopy(model.loss_balancer)  # the same numbers again
    seen = watch(model.loss_balancer)
    found, expected = (backbone_gradient(each, data) for each in (model, detached(model)))
    balancer = model.loss_balancer
    mean = seen[0]['features'].mean(0, keepdim=True)  # one set of weights, as the parts are scalars
    p_hat = draws.sampler(draws.decision_network(mean), True)[0]
    through_features = torch.autograd.grad(
        (balancer.total_weight * p_hat * balancer.last.losses).sum(), backbone_weight(model)
    )[0]
    assert through_features.abs().sum() > 0
    torch.testing.assert_close(found, expected + through_features, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize('features', ['backbone', 'neck'])
def test_slf_does_not_train_the_backbone_through_the_decision_network(features, data):
    model = balanced(dict(type='SLFBalancer', signal=dict(type='TrainingLoss')), features)
    torch.nn.init.normal_(model.loss_balancer.decision_network.output.weight)  # at 0 no gradient would pass it
    seen = watch(model.loss_balancer)
    found, expected = (backbone_gradient(each, data) for each in (model, detached(model)))
    assert seen[0]['features'].requires_grad and torch.equal(found, expected)
    assert model.loss_balancer.decision_network.output.bias.grad.abs().sum() > 0


def balanced(loss_balancer, features):
    cfg = tiny_model('retinanet')
    return build(dict(cfg, features=features, loss_balancer=dict(loss_balancer, parts=cfg.loss_balancer.parts)))


def detached(model):
    """A copy of the model, whose balancer gets features without a graph."""
    other = copy.deepcopy(model)
    other.loss_balancer._forward_pre_hooks.clear()
    other.loss_balancer.register_forward_pre_hook(
        lambda module, args, kwargs: (args, dict(kwargs, features=kwargs['features'].detach())), with_kwargs=True
    )
    return other


def backbone_weight(model):
    return model.backbone.layer4[0].downsample[0].weight  # residual branches start at 0


def backbone_gradient(model, data):
    total, _ = model.parse_losses(loss_of(model, data))
    total.backward(retain_graph=True)
    return backbone_weight(model).grad


def test_a_prior_that_needs_an_output_layer_says_what_to_take(data):
    cfg = tiny_model('retinanet')
    cfg.loss_balancer.prior = dict(type='EqualGradientNorms', at='output')
    wanted = (
        'the prior EqualGradientNorms needs `output_parameters`, which is not offered in this step.*'
        r"Or take prior=dict\(type='EqualGradientNorms', at='shared'\)"
    )
    with pytest.raises(ValueError, match=wanted):
        loss_of(build(cfg), data)


def test_a_prior_of_equal_gradients_at_the_shared_layer(data):
    """Against gradients of each part alone, at the neck's weights; q is in inverse proportion to their norms."""
    cfg = tiny_model('retinanet')
    cfg.loss_balancer.update(prior=dict(type='EqualGradientNorms', at='shared'), signal=dict(type='TrainingLoss'))
    model = build(cfg)
    inputs = model.data_preprocessor(copy.deepcopy(data), training=True)
    losses = type(model).detector_class.loss(model, inputs['inputs'], inputs['data_samples'])
    weights = [value for value in model.neck.parameters() if value.dim() > 1]
    norms = []
    for key in ('loss_cls', 'loss_bbox'):
        found = torch.autograd.grad(sum(losses[key]), weights, retain_graph=True)
        norms.append(torch.cat([value.flatten() for value in found]).norm())
    loss_of(model, data)
    expected = 1 / torch.stack(norms)
    torch.testing.assert_close(model.loss_balancer.prior.shares(), expected / expected.sum(), rtol=1e-4, atol=1e-6)


def test_an_unknown_submodule():
    cfg = tiny_model('retinanet')
    cfg.loss_balancer.feature_dim = 8
    model = build(dict(cfg, features='bakbone'))
    with pytest.raises(AttributeError, match="no submodule 'bakbone'; its children"):
        model.loss(torch.zeros(1, 3, SIZE, SIZE), [])


def test_parts_that_cannot_be_found_are_asked_for():
    cfg = tiny_model('retinanet')
    cfg.loss_balancer.pop('parts')
    cfg.backbone.in_channels = 5
    with pytest.raises(ValueError, match=r"Write them into loss_balancer, as in parts=dict\(cls='loss_cls'"):
        MODELS.build(cfg)


def test_a_detector_that_balances_itself_is_refused():
    detector = Config.fromfile(DIGITS_SLF).model
    with pytest.raises(ValueError, match='give bbox_head.loss_balancer the balancer, and leave BalancedDetector out'):
        MODELS.build(dict(type='BalancedDetector', detector=detector, loss_balancer=dict(type='StaticBalancer')))


def test_starts_from_the_network_that_the_plain_detector_starts_from():
    cfg = tiny_model('retinanet')
    ours, theirs = build(cfg).state_dict(), build(unbalanced(cfg)).state_dict()
    assert all(torch.equal(ours[key], value) for key, value in theirs.items())


def test_hooks_find_the_detector(data):
    model = build(tiny_model('yolox'))
    loss_of(model, data)
    assert not model.bbox_head.use_l1
    YOLOXModeSwitchHook(num_last_epochs=1).before_train_epoch(MagicMock(model=model, epoch=1, max_epochs=2))
    assert model.bbox_head.use_l1
    # loss_l1, which begins here, is in the part box
    assert {key for key in loss_of(model, data) if 'loss' in key} == {'loss_cls', 'loss_obj', 'loss_box'}
    assert model.with_neck and not hasattr(model, 'no_such_thing')


def test_a_loss_that_starts_later_is_warned_of_once_where_no_parts_are_given(data, monkeypatch):
    said = []
    module = 'slf_mmdet.models.detectors.loss_parts.print_log'
    monkeypatch.setattr(module, lambda text, *_, **__: said.append(text))
    cfg = tiny_model('yolox')
    for parts in (cfg.loss_balancer.parts, dict(cls='loss_cls')):  # losses in no part may be meant
        model = build(dict(cfg, loss_balancer=dict(type='StaticBalancer', parts=parts)))
        model.bbox_head.use_l1 = True
        loss_of(model, data)
    assert not said
    model = build(dict(cfg, loss_balancer=dict(type='StaticBalancer')))
    loss_of(model, data)
    assert not said
    model.bbox_head.use_l1 = True
    for _ in range(2):
        losses = loss_of(model, data)
    assert 'loss_l1' in losses and 'balance_l1' not in losses
    assert len(said) == 1
    assert "['loss_l1'] are in no part and keep the weight 1" in said[0] and "box=['loss_bbox', 'loss_l1']" in said[0]


@pytest.fixture(scope='module')
def trained(digits, tmp_path_factory):
    """(config, checkpoint) of two epochs."""
    work_dir = tmp_path_factory.mktemp('trained')
    cfg = run_config(digits, work_dir, epochs=2)
    train(cfg)
    return cfg, work_dir / 'epoch_2.pth'


def state_of(path):
    return torch.load(path)['state_dict']


def test_resumed_run_equals_uninterrupted(trained, digits, tmp_path):
    train(run_config(digits, tmp_path, epochs=1))
    train(run_config(digits, tmp_path, epochs=2, resume=True))
    ours, theirs = state_of(tmp_path / 'epoch_2.pth'), state_of(trained[1])
    assert set(ours) == set(theirs)
    assert all(torch.equal(value, theirs[key]) for key, value in ours.items())


def published(path, target):
    torch.save(publish_checkpoint(torch.load(path)), target)
    return target


def test_published_checkpoint_is_one_of_the_plain_detector(trained, tmp_path):
    cfg, path = trained
    target = published(path, tmp_path / 'published.pth')
    checkpoint = torch.load(target)
    assert set(checkpoint) == {'meta', 'state_dict'}
    assert len(checkpoint['meta']['dataset_meta']['classes']) == CLASSES
    plain = MODELS.build(unbalanced(cfg.model))
    plain.load_state_dict(checkpoint['state_dict'])  # strict
    # and back into the balanced one
    balanced = build(cfg.model, seed=1)
    load_checkpoint(balanced, str(target))
    for key, value in plain.state_dict().items():
        assert torch.equal(balanced.state_dict()[key], value)


def test_the_inferencer_takes_both(trained, digits, tmp_path):
    path = trained[1]
    image = str(next((digits / 'data').rglob('*.jpg')))
    results = []
    for weights in (path, published(path, tmp_path / 'published.pth')):  # each with the config inside
        inferencer = DetInferencer(weights=str(weights), device='cpu', show_progress=False)
        results.append(inferencer(image, no_save_vis=True)['predictions'][0])
        assert type(inferencer.model).__name__ == ('BalancedRetinaNet' if weights == path else 'RetinaNet')
    assert results[0] == results[1] and len(results[0]['scores']) > 0


def test_fine_tuning_a_published_checkpoint_with_a_balancer(trained, digits, tmp_path):
    target = published(trained[1], tmp_path / 'published.pth')
    cfg = run_config(digits, tmp_path / 'tuned', load_from=str(target))
    cfg.optim_wrapper.optimizer = dict(type='SGD', lr=0.0)
    runner = train(cfg)
    expected = state_of(target)
    ours = {key: value for key, value in runner.model.named_parameters() if not key.startswith('loss_balancer.')}
    assert ours and all(torch.equal(value, expected[key]) for key, value in ours.items())


@pytest.mark.parametrize('where', ['inside', 'outside'])
def test_pretrained_of_init_cfg(where, trained, tmp_path):
    target = published(trained[1], tmp_path / 'published.pth')
    cfg = copy.deepcopy(trained[0].model)
    pretrained = dict(type='Pretrained', checkpoint=str(target))
    if where == 'inside':
        cfg = dict(type='BalancedDetector', detector=dict(unbalanced(cfg), init_cfg=pretrained), loss_balancer=STATIC)
    else:
        cfg.init_cfg = pretrained
    model = build(cfg, seed=1)
    assert all(torch.equal(model.state_dict()[key], value) for key, value in state_of(target).items())


def test_test_time_augmentation_is_that_of_the_plain_detector(trained, data, tmp_path):
    cfg, path = trained
    for sample in data['data_samples']:
        sample.set_metainfo(dict(img_id=0))
    views = {key: [value, value] for key, value in data.items()}
    results = []
    for module, weights in ((cfg.model, path), (unbalanced(cfg.model), published(path, tmp_path / 'published.pth'))):
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


def test_an_average_precision_part_goes_where_the_plain_config_has_none():
    cfg = tiny_model('retinanet')
    cfg.loss_ap = dict(type='SoftAPLoss')
    state = build(cfg).state_dict()
    assert 'loss_ap.counter.steps' in state
    published = publish_checkpoint(dict(state_dict=state))['state_dict']
    MODELS.build(detector_config(cfg)).load_state_dict(published)  # strict
    head = dict(state_dict={'bbox_head.loss_ap.counter.steps': torch.ones(())})  # that of YOLOv1 stays in its config
    assert publish_checkpoint(head)['state_dict'] == head['state_dict']


def test_configs_of_both_forms_of_a_dict():
    inner = "{'x-y': dict(loss_balancer=dict()), 'c': 1}"
    text = f"a = 1\nmodel = {{'type': 'BalancedDetector', 'detector': {inner}, 'features': 'neck', 'c': 2, **b}}\n"
    assert plain_config(text) == "a = 1\nmodel = {'x-y': dict(), 'c': 2, **b}\n"
    text = f"model = {{'type': 'BalancedDetector', 'detector_type': 'SoftTeacher', 'detector': {inner}, 'd': 3}}\n"
    assert plain_config(text) == "model = {'type': 'SoftTeacher', 'd': 3, 'detector': {'x-y': dict(), 'c': 1}}\n"


def test_publishing_something_else():
    with pytest.raises(ValueError, match=r"no state_dict, but \['weights'\]"):
        publish_checkpoint(dict(weights={}))


COMPARING = [
    dict(type='SLFBalancer', signal=dict(type='GradientAlignment', target='training_loss')),
    dict(type='GradNormBalancer'),
]


@pytest.mark.parametrize('balancer', COMPARING, ids=lambda balancer: balancer['type'])
@pytest.mark.parametrize(('shared_layer', 'layer'), [(None, 'neck'), ('backbone.layer3', 'backbone.layer3')])
def test_gradients_of_the_parts_are_taken_at_the_shared_layer(data, balancer, shared_layer, layer):
    cfg = tiny_model('retinanet')
    cfg.loss_balancer = dict(balancer, parts=cfg.loss_balancer.parts)
    model = build(dict(cfg, shared_layer=shared_layer)).train()
    weights = [value for value in model.get_submodule(layer).parameters() if value.dim() > 1]
    seen = watch(model.loss_balancer)
    before = {key: value.clone() for key, value in model.loss_balancer.state_dict().items()}
    sum(value for key, value in loss_of(model, data).items() if 'loss' in key and torch.is_tensor(value)).backward()
    assert [id(value) for value in seen[0]['shared_parameters']()] == [id(value) for value in weights]
    assert any(
        key not in before or not torch.equal(value, before[key])
        for key, value in model.loss_balancer.state_dict().items()
        if not key.endswith('steps')
    )


def test_a_shared_layer_without_weights():
    cfg = tiny_model('retinanet')
    cfg.loss_balancer = dict(type='GradNormBalancer', parts=cfg.loss_balancer.parts)
    for wrong in ('nekc', 'bbox_head.loss_cls'):
        with pytest.raises(
            ValueError, match=f"shared_layer='{wrong}' is not a submodule of BalancedRetinaNet with weights"
        ):
            build(dict(cfg, shared_layer=wrong))
