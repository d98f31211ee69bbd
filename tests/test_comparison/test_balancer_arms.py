"""What the name of a balancer does to a config."""

import pytest
from mmengine.config import Config

from slf_mmdet.balancers import LossBalancer
from slf_mmdet.comparison import ConfigArm, Experiment, grid_arms, parse_arm, parse_options
from slf_mmdet.comparison.arms import check_distinct
from slf_mmdet.comparison.balancer_arms import balancer_types, base_weights
from slf_mmdet.utils.config import registered

from ..helpers import CONFIGS, DIGITS_SLF

BASE = dict(coord=5.0, cls=1.0, obj=1.0, noobj=0.5)


@pytest.mark.parametrize(
    ('text', 'label', 'balancer'),
    [
        ('static', 'static', dict(type='StaticBalancer')),
        ('SLF', 'SLF', dict(type='SLFBalancer')),
        ('SLFBalancer', 'SLFBalancer', dict(type='SLFBalancer')),
        ('paperslf', 'paperslf', dict(type='PaperSLFBalancer')),
        ('grap', 'grap', dict(type='GraPBalancer')),
        ('uwso', 'uwso', dict(type='UWSOBalancer')),
        ('ldcmtl', 'ldcmtl', dict(type='LDCMTLBalancer')),
        ('slf(kl_weight=1)', 'slf(kl_weight=1)', dict(type='SLFBalancer', kl_weight=1)),
        (
            'batch = slf(kl_weight=0.1, granularity="batch")',
            'batch',
            dict(type='SLFBalancer', kl_weight=0.1, granularity='batch'),
        ),
        (
            "p=slf(sampler=dict(type='Softmax'))",
            'p',
            dict(type='SLFBalancer', sampler=dict(type='Softmax')),
        ),
        (
            "rate=slf(signal=dict(type='LossRate'), kl_weight=1)",
            'rate',
            dict(type='SLFBalancer', signal=dict(type='LossRate'), kl_weight=1),
        ),
        (
            "v=slf(signal=dict(type='ValidationSignal', dataset=dict(type='VOCDataset', pipeline=[dict(type='X')])))",
            'v',
            dict(
                type='SLFBalancer',
                signal=dict(type='ValidationSignal', dataset=dict(type='VOCDataset', pipeline=[dict(type='X')])),
            ),
        ),
        (
            'static(base_weights=dict(cls=2.0, obj=-1))',
            'static(base_weights=dict(cls=2.0, obj=-1))',
            dict(type='StaticBalancer', base_weights=dict(cls=2.0, obj=-1)),
        ),
        ("slf(parts=['a', 'b'])", "slf(parts=['a', 'b'])", dict(type='SLFBalancer', parts=['a', 'b'])),
        ('config', 'config', None),
    ],
)
def test_parse(text, label, balancer):
    arm = parse_arm(text)
    assert (arm.label, getattr(arm, 'balancer', None)) == (label, balancer)


@pytest.mark.parametrize(
    'text', ['slf(3)', 'slf(kl_weight=f(3))', 'slf(', 'a; b', '', 'slf(seed=open("x"))', 'slf(sampler=dict(3))']
)
def test_invalid_arms(text):
    with pytest.raises(ValueError, match='is not a valid arm: write a name'):
        parse_arm(text)


def test_unknown_balancer_lists_those_that_there_are():
    with pytest.raises(ValueError, match=r"there is no balancer 'sfl'; there are \['config', .*'slf', .*'static'"):
        parse_arm('sfl')


def test_each_balancer_has_a_short_name():
    types = balancer_types()
    assert sorted(types.values()) == registered(LossBalancer)
    assert types['slf'] == 'SLFBalancer' and types['paperslf'] == 'PaperSLFBalancer'


def test_folder_names_are_safe_and_must_differ():
    assert parse_arm("slf(granularity='batch', kl_weight=1.0)").folder == 'slf_granularity=_batch_,kl_weight=1.0_'
    with pytest.raises(ValueError, match=r"\('slf', 'slf'\) share a name"):
        check_distinct([parse_arm('slf'), parse_arm('slf')])


def test_balancer_is_replaced_and_what_the_loss_is_stays():
    cfg = Config.fromfile(DIGITS_SLF)
    cfg.model.bbox_head.loss_balancer = dict(type='SLFBalancer', kl_weight=1, base_weights=dict(coord=2.0))
    changed = parse_arm('rlw(seed=1)').apply(cfg)
    assert changed.model.bbox_head.loss_balancer == dict(type='RLWBalancer', seed=1, base_weights=dict(coord=2.0))
    assert cfg.model.bbox_head.loss_balancer.type == 'SLFBalancer'  # the config itself is not touched
    assert parse_arm('config').apply(cfg).model == cfg.model


def test_a_classifier_takes_no_balancer():
    cfg = Config(dict(default_scope='mmpretrain', model=dict(type='ImageClassifier')))
    with pytest.raises(
        ValueError, match=r"arm 'slf': ImageClassifier .* takes no loss_balancer. Compare other configs"
    ):
        parse_arm('slf').apply(cfg)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        (
            "slf(objctive='delta_ap')",
            r"arm .*: loss_balancer: SLFBalancer has no setting \['objctive'\]; it has \[.*'signal'.*\]",
        ),
        ('slf(num_samples=3)', r"has no setting \['num_samples'\].* It is a setting of the sampler"),
        ('slf(kl_wieght=1)', "Did you mean 'kl_weight'"),
        (
            "slf(sampler=dict(type='Sofmax'))",
            r"arm .*: loss_balancer\.sampler\.type must be one of \[.*, found 'Sofmax'\. Did you mean 'Softmax'",
        ),
        (
            "slf(signal=dict(type='LossRate', intervall=3))",
            r"loss_balancer\.signal: LossRate has no setting \['intervall'\]",
        ),
        ("slf(prior='BaseWeights')", r"loss_balancer\.prior must be a dict .*, found 'BaseWeights'"),
        ('rlw(base_weights=3)', r'loss_balancer\.base_weights must be a dict'),
    ],
)
def test_a_setting_that_does_not_exist_is_found_before_anything_runs(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        Experiment(Config.fromfile(DIGITS_SLF), [parse_arm('static'), parse_arm(text)], [0], tmp_path)
    assert not list(tmp_path.iterdir())


def test_balancers_of_other_configs_and_options_are_checked_too(tmp_path):
    cfg = Config.fromfile(DIGITS_SLF)
    arm = parse_options('typo: model.bbox_head.loss_balancer.kl_wieght=1')
    message = r"arm 'typo': loss_balancer: SLFBalancer has no setting \['kl_wieght'\]"
    with pytest.raises(ValueError, match=message):
        Experiment(cfg, [parse_arm('config'), arm], [0], tmp_path)
    with pytest.raises(ValueError, match=message):
        Experiment(cfg, [parse_arm('config'), ConfigArm('typo', arm.apply(cfg))], [0], tmp_path)


def test_all_balancers_pass_the_check(tmp_path):
    arms = [parse_arm(name) for name in ('config', *balancer_types())]
    arms.append(parse_arm("v=slf(signal=dict(type='ValidationSignal', dataset=dict(type='X')))"))
    assert len(Experiment(Config.fromfile(DIGITS_SLF), arms, [0, 1], tmp_path).runs) == 2 * len(arms)


def test_base_weights_are_those_of_the_built_model():
    cfg = Config.fromfile(CONFIGS / 'yolov1' / 'yolov1_nano_1xb16-12e_digits-112px.py')
    assert base_weights(cfg) == BASE
    cfg.model.bbox_head.loss_balancer = dict(type='StaticBalancer', base_weights=dict(cls=3))
    assert base_weights(cfg) == {**BASE, 'cls': 3.0}


def test_grid_halves_and_doubles_each_weight():
    arms = {arm.label: arm.balancer['base_weights'] for arm in grid_arms(BASE)}
    assert len(arms) == 8
    assert arms['static cls x2'] == {**BASE, 'cls': 2.0}
    assert arms['static coord x0.5'] == {**BASE, 'coord': 2.5}
