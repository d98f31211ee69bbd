"""What a config names is checked before it is built."""

from typing import Any

import pytest
from mmdet.registry import MODELS, TASK_UTILS
from torch import nn

from slf_mmdet.balancers import LossBalancer, StaticBalancer
from slf_mmdet.slf import MultipleGumbelSoftmax, Sampler, Signal, Softmax, StratifiedGumbelSoftmax, TrainingLoss
from slf_mmdet.utils.config import build_component, checked_cfg, registered, settings_of


class Base:
    def __init__(self, size: int, **kwargs: Any) -> None:
        pass


class Closed(Base):
    def __init__(self, width: int, *, bias: bool = True) -> None:
        pass


class HandsOn(Closed):
    def __init__(self, depth: int, **kwargs: Any) -> None:
        pass


class Inherits(HandsOn):
    pass


class Module(nn.Module):
    pass


class TakesAnything(nn.Module):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__()


@pytest.mark.parametrize(
    ('kind', 'settings'),
    [
        (Closed, ['bias', 'width']),
        (HandsOn, ['bias', 'depth', 'width']),  # those of the first class without **kwargs
        (Inherits, ['bias', 'depth', 'width']),
        (Module, []),
        (Base, None),  # what it takes is not known
        (TakesAnything, None),
        (lambda size: None, None),
    ],
)
def test_settings_of(kind, settings):
    assert settings_of(kind) == settings


def test_registered_are_the_classes_of_a_base_by_name():
    assert registered(Sampler, TASK_UTILS) == ['MultipleGumbelSoftmax', 'Softmax', 'StratifiedGumbelSoftmax']
    assert 'StaticBalancer' in registered(LossBalancer) and 'RetinaNet' not in registered(LossBalancer)


def test_checked_cfg_is_a_copy():
    cfg = dict(type='StaticBalancer', base_weights=dict(a=1.0))
    checked = checked_cfg(cfg, 'loss_balancer', ['StaticBalancer'], LossBalancer)
    assert checked == cfg and checked is not cfg
    assert checked_cfg(dict(type=StaticBalancer), 'key', ['StaticBalancer'], LossBalancer) == dict(type=StaticBalancer)


CHOICES = ['RLWBalancer', 'StaticBalancer']


@pytest.mark.parametrize(
    ('cfg', 'message'),
    [
        (
            'StaticBalancer',
            r"^key must be a dict as dict\(type='RLWBalancer', ...\), found 'StaticBalancer'. Types: \[",
        ),
        (None, r'^key must be a dict as .*found None'),
        (dict(base_weights={}), r"^key must be a dict as .*found \{'base_weights': \{\}\}"),
        (
            dict(type='StatcBalancer'),
            r"^key\.type must be one of \['RLWBalancer', 'StaticBalancer'\], found 'StatcBalancer'. "
            r"Did you mean 'StaticBalancer'\?$",
        ),
        (dict(type='RetinaNet'), r"^key\.type must be one of .*found 'RetinaNet'.$"),
        (dict(type=int), r'^key\.type must be one of .*found <class .int.>'),
        (
            dict(type='RLWBalancer', sed=1),
            r"^key: RLWBalancer has no setting \['sed'\]; it has \['base_weights', 'feature_dim', 'init_cfg', 'parts', "
            r"'seed'\]. Did you mean 'seed'\?$",
        ),
        (dict(type='RLWBalancer', zoo=1, ark=2), r"no setting \['ark', 'zoo'\].*'seed'\].$"),
    ],
)
def test_wrong_configs(cfg, message):
    with pytest.raises(ValueError, match=message):
        checked_cfg(cfg, 'key', CHOICES, LossBalancer)


def test_a_class_of_another_base_is_no_choice():
    with pytest.raises(ValueError, match=r"^SLFBalancer.signal.type must be one of \['DeltaAP', .*found 'Softmax'"):
        build_component(dict(type='Softmax'), 'SLFBalancer.signal', Signal)


def test_component_from_a_dict_a_class_or_an_instance():
    assert type(build_component(dict(type='Softmax'), 'sampler', Sampler)) is Softmax
    built = build_component(dict(type=StratifiedGumbelSoftmax, num_samples=7), 'sampler', Sampler)
    assert type(built) is StratifiedGumbelSoftmax and built.num_samples.at(0) == 7
    assert build_component(built, 'sampler', Sampler) is built


def test_arguments_are_filled_in_where_the_class_takes_them_and_the_config_does_not_give_them():
    assert build_component(dict(type='TrainingLoss'), 'signal', Signal, num_parts=3).num_parts == 3
    assert build_component(dict(type='TrainingLoss', num_parts=5), 'signal', Signal, num_parts=3).num_parts == 5
    assert isinstance(build_component(dict(type='Softmax'), 'sampler', Sampler, num_parts=3), Softmax)
    cfg = dict(type='TrainingLoss')
    build_component(cfg, 'signal', Signal, num_parts=3)
    assert cfg == dict(type='TrainingLoss')


def test_a_component_that_takes_anything_gets_everything():
    @TASK_UTILS.register_module()
    class TakesAnything(Signal):
        def __init__(self, **kwargs):
            super().__init__(kwargs['num_parts'])

        def costs(self, step, prior_weights, weights):
            raise NotImplementedError

    try:
        assert build_component(dict(type='TakesAnything'), 'signal', Signal, num_parts=3).num_parts == 3
    finally:
        del TASK_UTILS.module_dict['TakesAnything']


def test_settings_of_another_component():
    message = r"^SLFBalancer.sampler: Softmax has no setting \['num_samples'\]; it has \[\].$"
    with pytest.raises(ValueError, match=message):
        build_component(dict(type='Softmax', num_samples=3), 'SLFBalancer.sampler', Sampler)


def test_an_unknown_setting_of_a_component():
    message = r"^SLFBalancer.sampler: MultipleGumbelSoftmax has no setting \['samples'\].*Did you mean 'num_samples'\?"
    with pytest.raises(ValueError, match=message):
        build_component(dict(type='MultipleGumbelSoftmax', samples=3), 'SLFBalancer.sampler', Sampler)


def test_components_are_in_the_registry_of_mmdet():
    for name, kind in (('MultipleGumbelSoftmax', MultipleGumbelSoftmax), ('TrainingLoss', TrainingLoss)):
        assert TASK_UTILS.get(name) is kind and MODELS.get(name) is None
