"""Arms of other configs and of varied options."""

import pytest
from mmengine.config import Config

from slf_mmdet.comparison import Arm, parse_configs, parse_options
from slf_mmdet.comparison.arms import check_distinct, short_names

from ..helpers import CONFIGS, DIGITS_SLF

DIGITS = CONFIGS / 'yolov1' / 'yolov1_nano_1xb16-12e_digits-112px.py'


@pytest.fixture
def cfg():
    candidates = [dict(type='ClassMSELoss'), dict(type='ClassMAELoss')]
    loss = dict(type='StochasticLoss', candidates=candidates, kl_weight=3, sampler=dict(num_samples=3))
    return Config(dict(model=dict(head=dict(num_classes=10, loss=loss)), train_cfg=dict(max_epochs=20)))


@pytest.mark.parametrize(
    ('text', 'label', 'options'),
    [
        ('weak: model.head.loss.kl_weight=1', 'weak', {'model.head.loss.kl_weight': 1}),
        ('weak:model.head.loss.kl_weight=1', 'weak', {'model.head.loss.kl_weight': 1}),
        ('model.head.loss.hidden_dim=16 train_cfg.max_epochs=2', 'hidden_dim=16, max_epochs=2', None),
        ('K = 1: a.b=1 a.c=x', 'K = 1', {'a.b': 1, 'a.c': 'x'}),
        ('load_from=http://a/b.pth?c=1', 'load_from=http://a/b.pth?c=1', {'load_from': 'http://a/b.pth?c=1'}),
        ("name: a.b='quoted' a.c='[1, 2]' a.d=True", 'name', {'a.b': 'quoted', 'a.c': [1, 2], 'a.d': True}),
    ],
)
def test_parse_options(text, label, options):
    arm = parse_options(text)
    assert arm.label == label
    assert arm.options == (options or {'model.head.loss.hidden_dim': 16, 'train_cfg.max_epochs': 2})


@pytest.mark.parametrize('text', ['', 'slf', 'weak: ', 'weak: slf', 'a.b=1 c', 'a.b="1'])
def test_invalid_options(text):
    with pytest.raises(ValueError, match=r"is not a valid arm: write options .* 'weak: model.head.loss.kl_weight=1'"):
        parse_options(text)


def test_options_change_a_copy(cfg):
    before = cfg.to_dict()
    changed = parse_options('model.head.loss.kl_weight=1 model.head.loss.candidates.1.type=ClassMSELoss').apply(cfg)
    assert cfg.to_dict() == before
    before['model']['head']['loss'].update(kl_weight=1, candidates=[dict(type='ClassMSELoss')] * 2)
    assert changed.to_dict() == before


def test_a_dict_can_be_replaced(cfg):
    changed = parse_options('ce: model.head.loss._delete_=True model.head.loss.type=CrossEntropyLoss').apply(cfg)
    assert changed.model.head.loss == dict(type='CrossEntropyLoss')


def test_a_sampler_can_be_replaced(cfg):
    sampler = 'model.head.loss.sampler'
    changed = parse_options(f'softmax: {sampler}._delete_=True {sampler}.type=Softmax').apply(cfg)
    assert changed.model.head.loss.sampler == dict(type='Softmax')


def test_settings_that_the_config_leaves_to_their_defaults_can_be_given(cfg):
    changed = parse_options('model.head.loss.sampler.tau=0.5 load_from=a.pth').apply(cfg)
    assert changed.model.head.loss.sampler == dict(num_samples=3, tau=0.5) and changed.load_from == 'a.pth'


@pytest.mark.parametrize(
    ('option', 'changes', 'nearest'),
    [
        ('model.head.los.kl_weight=1', 'model.head.los', 'model.head.loss'),
        ('modle.head.loss.kl_weight=1', 'modle.head.loss', 'model.head.loss'),
        ('model.head.num_classes.x=1', 'model.head.num_classes', 'model.head.loss'),
        ('model.head.loss.candidates.2.type=X', 'model.head.loss.candidates.2', 'model.head.loss.candidates.1'),
        ('max_epochs=3', 'max_epochs', 'train_cfg'),
        ('model.zzzzzzzzzzzzzzzzzzzz.yyyyyyyyyyyyyyyy.x=1', 'model.zzzz', 'model.head'),
    ],
)
def test_options_of_what_is_not_there_are_refused(cfg, option, changes, nearest):
    message = rf"arm 'typo': the option '.*' changes '{changes}.*Nearest in it: .*'{nearest}'"
    with pytest.raises(ValueError, match=message):
        parse_options(f'typo: {option}').apply(cfg)


def test_short_names():
    assert short_names(['mlp_ce_1xb_mnist', 'mlp_slf-paper_1xb_mnist']) == ['ce', 'slf-paper']
    assert short_names(['yolo_nano', 'slf_yolo_nano']) == ['yolo_nano', 'slf']
    assert short_names(['alone']) == ['alone']


def test_configs_are_named_by_what_differs():
    arms = parse_configs([str(DIGITS), str(DIGITS), f'mine={DIGITS_SLF}'], dict(train_cfg=dict(max_epochs=1)))
    assert [arm.label for arm in arms] == [DIGITS.stem, 'mine']
    for arm, path in zip(arms, (DIGITS, DIGITS_SLF)):
        applied = arm.apply(Config())
        assert applied.model == Config.fromfile(path).model and applied.train_cfg.max_epochs == 1


def test_a_labelled_config_may_be_repeated():
    again = parse_configs([str(DIGITS), f'again={DIGITS}'])
    assert [arm.label for arm in again] == [DIGITS.stem, 'again']
    assert again[0].cfg.to_dict() == again[1].cfg.to_dict()


def test_missing_config():
    with pytest.raises(FileNotFoundError, match=r'nothing\.py'):
        parse_configs([str(DIGITS), 'nothing.py'])


def test_two_arms_of_one_name_are_refused():
    with pytest.raises(ValueError, match=r"\('a b', 'ab'\) share a name; label them"):
        check_distinct([Arm('a b'), Arm('ab'), Arm('c')])
