"""``--parts``: read, checked before anything trains, and given to every arm of a balancer."""

import re

import pytest
from mmdet.models.detectors import RetinaNet
from mmdet.registry import MODELS
from mmengine.config import Config

from slf_mmdet.comparison import Experiment, grid_arms, parse_arm, parse_options, parse_parts, with_parts
from slf_mmdet.comparison import parts as parts_module
from slf_mmdet.comparison.balancer_arms import base_weights
from slf_mmdet.comparison.run import train_and_evaluate

from ..helpers import CONFIGS, IN_PROCESS

PARTS = dict(cls='loss_cls', box='loss_bbox')


class Unprobed(RetinaNet):
    """A detector that refuses random images."""

    def loss(self, *args):
        raise ValueError('no text prompt')


@pytest.fixture(autouse=True)
def unprobed(monkeypatch):
    monkeypatch.setitem(MODELS._module_dict, 'Unprobed', Unprobed)


@pytest.fixture(scope='module')
def cfg():
    cfg = Config.fromstring("_base_ = 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'", '.py')
    cfg.model.backbone = dict(type='ResNet', depth=18, base_channels=8)
    cfg.model.neck.update(in_channels=[8, 16, 32, 64], out_channels=16)
    cfg.model.bbox_head.update(in_channels=16, feat_channels=16)
    return cfg


@pytest.mark.parametrize(
    ('texts', 'parts'),
    [
        (['cls=loss_cls', 'box=loss_bbox'], PARTS),
        (['rpn=loss_rpn_.*', r'd=(d\d\.)?loss_cls'], dict(rpn='loss_rpn_.*', d=r'(d\d\.)?loss_cls')),
        (['box=loss_bbox,loss_iou'], dict(box=['loss_bbox', 'loss_iou'])),
        (['box=[loss_bbox, loss_iou]'], dict(box=['loss_bbox', 'loss_iou'])),
        (["box=['loss_bbox', 'loss_iou']"], dict(box=['loss_bbox', 'loss_iou'])),
        ([r's=s\d{1,2}\.loss_cls,loss_a'], dict(s=[r's\d{1,2}\.loss_cls', 'loss_a'])),
        (['x=(?=loss)loss_[ab]'], dict(x='(?=loss)loss_[ab]')),
        (['loss_cls', 'd0.loss_bbox'], ['loss_cls', 'd0.loss_bbox']),
    ],
)
def test_parse(texts, parts):
    assert parse_parts(texts) == parts


@pytest.mark.parametrize(
    ('texts', 'message'),
    [
        (['cls=loss_cls', 'loss_bbox'], r"--parts: 'loss_bbox' has no name or no loss; write name=loss"),
        (['cls='], r"--parts: 'cls=' is no loss key; write name=loss for each part"),
        (['loss_.*'], r"--parts: 'loss_\.\*' is no loss key"),
        (['cls=loss_cls', 'cls=loss_bbox'], r"the part 'cls' is given twice; write cls=loss_a,loss_b"),
        (['cls=loss_cls,'], 'has an empty pattern'),
        (['cls=('], r"parts\['cls'\]: '\(' is neither a loss key nor a regular expression"),
    ],
)
def test_what_is_not_of_this_form(texts, message):
    with pytest.raises(ValueError, match=message):
        parse_parts(texts)


def test_every_arm_of_a_balancer_gets_them_and_its_own_win(cfg):
    arms = [parse_arm('config'), parse_arm('static'), parse_arm("own=slf(parts=dict(all='loss_.*'))")]
    models = [arm.apply(cfg).model for arm in with_parts(arms, PARTS, cfg)]
    assert models[0] == cfg.model
    assert [model.loss_balancer.parts for model in models[1:]] == [PARTS, dict(all='loss_.*')]


def test_they_replace_those_of_the_config():
    cfg = Config.fromfile(CONFIGS / 'balanced' / 'slf_retinanet_r50_fpn_1x_coco.py')
    (arm,) = with_parts([parse_arm('slf')], ['loss_cls'], cfg)
    assert arm.apply(cfg).model.loss_balancer.parts == ['loss_cls']


def test_where_there_is_nothing_to_group(cfg):
    with pytest.raises(ValueError, match='--parts is for balancers .*no arm is one'):
        with_parts([parse_arm('config'), parse_options('a: model.x=1')], PARTS, cfg)
    yolo = Config.fromfile(CONFIGS / 'yolov1' / 'yolov1_nano_1xb16-12e_digits-112px.py')
    with pytest.raises(ValueError, match='--parts: YOLOV1 names the parts of its loss itself'):
        with_parts([parse_arm('static')], PARTS, yolo)


def test_tuned_weights_are_of_these_parts(cfg):
    weights = base_weights(cfg, parts=PARTS)
    assert weights == dict(cls=1.0, box=1.0)
    points = [arm.balancer for arm in grid_arms(weights, parts=PARTS)]
    assert len(points) == 4 and all(point['parts'] == PARTS for point in points)
    assert points[1]['base_weights'] == dict(cls=2.0, box=1.0)


def check(cfg, parts, tmp_path, arm='static'):
    arms = [parse_arm(arm)] if parts is None else with_parts([parse_arm(arm)], parts, cfg)
    return Experiment(cfg, arms, [0], tmp_path)


@pytest.mark.parametrize(
    ('parts', 'message'),
    [
        (
            dict(cls='loss_cls', box='loss_iou'),
            r"arm 'static': .*no loss matches \{'box': \['loss_iou'\]\}. The losses are \['loss_cls', 'loss_bbox'\]",
        ),
        (['loss_cls', 'loss_box'], r"no loss matches \{'box': .*The losses are \['loss_cls', 'loss_bbox'\]"),
        (dict(cls='loss_cls', all='loss_.*'), r"the loss 'loss_cls' is matched by the parts \['cls', 'all'\]"),
    ],
)
def test_parts_that_do_not_fit_are_found_before_anything_runs(cfg, parts, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        check(cfg, parts, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    'parts', [None, PARTS, ['loss_bbox'], dict(all='loss_.*'), dict(all=['loss_cls', 'loss_bbox'])]
)
def test_parts_that_fit(cfg, parts, tmp_path):
    check(cfg, parts, tmp_path)


def test_a_detector_is_probed_once_for_all_arms(cfg, monkeypatch, tmp_path):
    calls = []
    monkeypatch.setattr(parts_module, '_probes', {})
    probe = parts_module.probe_detector
    monkeypatch.setattr(parts_module, 'probe_detector', lambda cfg: calls.append(cfg) or probe(cfg))
    arms = with_parts([parse_arm('static'), parse_arm('slf'), parse_arm('rlw')], PARTS, cfg)
    for _ in range(2):
        Experiment(cfg, arms, [0, 1], tmp_path)
    assert len(calls) == 1


def test_a_detector_whose_losses_cannot_be_found_needs_them(cfg, tmp_path):
    other = Config(cfg.to_dict())
    other.model.type = 'Unprobed'
    message = "arm 'static': Unprobed cannot compute the loss .*: no text prompt. Name its losses, as in --parts cls="
    with pytest.raises(ValueError, match=message):
        check(other, None, tmp_path)
    with pytest.warns(UserWarning, match="arm 'static': the first step checks the parts, since Unprobed cannot"):
        check(other, PARTS, tmp_path)


def test_tood_as_mmdet_has_it_is_compared(digits, monkeypatch, tmp_path):
    """Its loss depends on the epoch, which only a runner knows."""
    cfg = Config.fromfile(CONFIGS / 'digits' / 'retinanet_r18-slim_fpn_1xb8-3e_digits-112px.py')
    cfg.model = Config.fromstring("_base_ = 'mmdet::tood/tood_r50_fpn_1x_coco.py'", '.py').model
    cfg.model.backbone = dict(type='ResNet', depth=18, base_channels=8)
    cfg.model.neck.update(in_channels=[8, 16, 32, 64], out_channels=16)
    cfg.model.bbox_head.update(num_classes=10, in_channels=16, feat_channels=32, stacked_convs=2)
    options = {key: eval(value) for key, value in (option.split('=') for option in IN_PROCESS)}
    cfg.merge_from_dict({**options, 'train_cfg.max_epochs': 1, 'train_dataloader.dataset.indices': 8})
    cfg.default_hooks.logger.interval = 1
    experiment = Experiment(cfg, [parse_arm('static'), parse_arm('slf')], [0], tmp_path)
    monkeypatch.chdir(digits)
    for run in experiment.prepare():
        result = train_and_evaluate(run.folder)
        assert result['iters'] == 1
        (log,) = run.folder.glob('*/*.log')
        assert re.search(r'Epoch\(train\) .* balance_cls: \S+  balance_bbox: ', log.read_text())


def test_the_tool_passes_them_on(cfg, run_tool, monkeypatch, tmp_path):
    monkeypatch.setattr(Experiment, 'run', lambda experiment, *args: experiment.prepare())
    path = tmp_path / 'retinanet.py'
    cfg.dump(path)
    given = ['--work-dir', tmp_path / 'w', '--parts', 'cls=loss_cls']
    wrong = run_tool('compare.py', path, *given, 'box=loss_iou', check=False)
    assert wrong.returncode == 1 and "The losses are ['loss_cls', 'loss_bbox']" in wrong.stdout
    assert 'Traceback' not in wrong.stdout and not (tmp_path / 'w').exists()
    done = run_tool('compare.py', path, *given, 'box=loss_.*box', check=False)
    assert 'no run is finished yet' in done.stdout
    found = {path.parent.parent.name: Config.fromfile(path).model for path in tmp_path.glob('w/*/seed_0/config.py')}
    assert set(found) == {'static', 'slf'}
    assert all(model.loss_balancer.parts == dict(cls='loss_cls', box='loss_.*box') for model in found.values())
