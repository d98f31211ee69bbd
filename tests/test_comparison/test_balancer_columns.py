"""What the name of a balancer does to a config."""

import pytest
from helpers import CONFIGS, DIGITS_SLF
from mmengine.config import Config

from slf_mmdet.comparison import find_columns, parse_column
from slf_mmdet.comparison.balancer_columns import balancer_types, base_weights
from slf_mmdet.comparison.columns import check_distinct

BASE = dict(coord=5.0, cls=1.0, obj=1.0, noobj=0.5)


@pytest.mark.parametrize(
    ('text', 'label', 'balancer'),
    [
        ('static', 'static', dict(type='StaticBalancer')),
        ('SLF', 'SLF', dict(type='SLFBalancer')),
        ('SLFBalancer', 'SLFBalancer', dict(type='SLFBalancer')),
        ('slf(num_samples=3)', 'slf(num_samples=3)', dict(type='SLFBalancer', num_samples=3)),
        ('k3 = slf(num_samples=3, hard=False)', 'k3', dict(type='SLFBalancer', num_samples=3, hard=False)),
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
    column = parse_column(text)
    assert (column.label, getattr(column, 'balancer', None)) == (label, balancer)


@pytest.mark.parametrize('text', ['slf(3)', 'slf(num_samples=f(3))', 'slf(', 'a; b', '', 'slf(seed=open("x"))'])
def test_what_is_no_column(text):
    with pytest.raises(ValueError, match='is no column: write a name'):
        parse_column(text)


def test_unknown_balancer_lists_those_that_there_are():
    with pytest.raises(ValueError, match=r"there is no balancer 'sfl'; there are \['config', .*'slf', .*'static'"):
        parse_column('sfl')


def test_every_balancer_has_a_short_name():
    assert {'slf', 'static', 'rlw'} <= set(balancer_types())


def test_folder_names_are_safe_and_must_differ():
    assert parse_column("slf(sampler='softmax', tau=1.0)").folder == 'slf_sampler=_softmax_,tau=1.0_'
    with pytest.raises(ValueError, match=r"\('slf', 'slf'\) share a name"):
        check_distinct([parse_column('slf'), parse_column('slf')])


def test_balancer_is_replaced_and_what_the_loss_is_stays():
    cfg = Config.fromfile(DIGITS_SLF)
    cfg.model.bbox_head.loss_balancer = dict(type='SLFBalancer', num_samples=3, base_weights=dict(coord=2.0))
    changed = parse_column('rlw(seed=1)').apply(cfg)
    assert changed.model.bbox_head.loss_balancer == dict(type='RLWBalancer', seed=1, base_weights=dict(coord=2.0))
    assert cfg.model.bbox_head.loss_balancer.type == 'SLFBalancer'  # the config itself is not touched
    assert parse_column('config').apply(cfg).model == cfg.model


def test_a_classifier_takes_no_balancer():
    cfg = Config(dict(default_scope='mmpretrain', model=dict(type='ImageClassifier')))
    with pytest.raises(
        ValueError, match=r"column 'slf': ImageClassifier .* takes no loss_balancer. Compare other configs"
    ):
        parse_column('slf').apply(cfg)


def test_base_weights_are_those_of_the_built_model():
    cfg = Config.fromfile(CONFIGS / 'yolov1' / 'yolov1_nano_1xb16-12e_digits-112px.py')
    assert base_weights(cfg) == BASE
    cfg.model.bbox_head.loss_balancer = dict(type='StaticBalancer', base_weights=dict(cls=3))
    assert base_weights(cfg) == {**BASE, 'cls': 3.0}


def test_grid_halves_and_doubles_each_weight():
    columns = {column.label: column.balancer['base_weights'] for column in find_columns(BASE, 'grid')}
    assert len(columns) == 8
    assert columns['static cls x2'] == {**BASE, 'cls': 2.0}
    assert columns['static coord x0.5'] == {**BASE, 'coord': 2.5}


def test_random_points_are_within_a_factor_of_four_and_reproducible():
    points = [column.balancer['base_weights'] for column in find_columns(BASE, 'random', trials=50, seed=3)]
    assert points == [column.balancer['base_weights'] for column in find_columns(BASE, 'random', trials=50, seed=3)]
    factors = [point[name] / BASE[name] for point in points for name in BASE]
    assert 0.25 <= min(factors) < 0.3 and 3.3 < max(factors) <= 4
