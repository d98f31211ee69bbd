"""Settings that were renamed before the first release: each is an error that says the new name."""

import re

import pytest
from mmdet.registry import MODELS, TASK_UTILS

from slf_mmdet.balancers import checked_balancer
from slf_mmdet.utils.config import checked_cfg, registered, settings_of
from slf_mmdet.utils.renamed import RENAMED, new_name

OLD_SETTINGS = [(owner, setting) for owner, settings in RENAMED.items() for setting in settings]


def found(owner):
    """A class of the table, by its name or, for a base class, one that inherits from it."""
    owner = 'StaticBalancer' if owner == 'LossBalancer' else owner
    return MODELS.get(owner) or TASK_UTILS.get(owner)


@pytest.mark.parametrize(('owner', 'setting'), OLD_SETTINGS)
def test_in_a_config(owner, setting):
    kind = found(owner)
    registry = MODELS if MODELS.get(kind.__name__) else TASK_UTILS
    with pytest.raises(ValueError) as error:
        checked_cfg(dict(type=kind.__name__, **{setting: 1}), 'model', [kind.__name__], registry=registry)
    assert str(error.value).startswith(f"model: {kind.__name__} has no setting ['{setting}']; it has [")
    assert str(error.value).endswith(RENAMED[owner][setting])


@pytest.mark.parametrize(('owner', 'setting'), OLD_SETTINGS)
def test_what_the_message_says_to_write_exists(owner, setting):
    kind, message = found(owner), RENAMED[owner][setting]
    types = re.findall(r"type='(\w+)'", message)
    assert all(MODELS.get(name) or TASK_UTILS.get(name) for name in types)
    called = re.findall(r'called (\w+)', message) + re.findall(r'(\w+)=dict', message)
    assert set(called) <= set(settings_of(kind))
    for target in types if 'setting of the sampler' in message and setting != 'hard' else ():
        assert setting in settings_of(TASK_UTILS.get(target))
    others = re.findall(r'Paper\w+', message)
    assert called or others or types
    assert all(MODELS.get(name) for name in others)


REJECTING = [(owner, setting) for owner, setting in OLD_SETTINGS if owner != 'LossBalancer']


@pytest.mark.parametrize(('owner', 'setting'), REJECTING)
def test_by_direct_construction(owner, setting):
    kind = found(owner)
    with pytest.raises(TypeError) as error:
        kind(**{setting: 1})
    assert str(error.value) == f'{kind.__name__} has no setting {setting!r}. {RENAMED[owner][setting]}'


def test_a_class_inherits_the_old_settings_of_its_base():
    text = RENAMED['LossBalancer']['context_dim']
    assert new_name(found('SLFBalancer'), 'context_dim') == text
    with pytest.raises(TypeError, match=re.escape(f"SLFBalancer has no setting 'context_dim'. {text}")):
        found('SLFBalancer')(context_dim=1)


def test_a_class_that_inherits_may_use_the_name_for_something_else():
    class Seeded(found('SLFBalancer')):
        def __init__(self, seed, **kwargs):
            super().__init__(sampler=dict(type='MultipleGumbelSoftmax', seed=seed), **kwargs)

    cfg = dict(type=Seeded, seed=3, base_weights=dict(a=1.0), feature_dim=2)
    assert checked_cfg(cfg, 'model', ['SLFBalancer']) == cfg
    assert MODELS.build(cfg).sampler.generator.value == 3
    with pytest.raises(ValueError, match='no setting .*tau.*It is a setting of the sampler'):
        checked_cfg(dict(cfg, tau=1.0), 'model', ['SLFBalancer'])


def test_in_the_config_of_a_balancer():
    with pytest.raises(ValueError, match=r"^head.loss_balancer: SLFBalancer has no setting \['anchor'\].*called prior"):
        checked_balancer(dict(type='SLFBalancer', anchor='base'), 'head.loss_balancer')


def test_what_never_was_a_setting_has_no_new_name():
    assert all(new_name(MODELS.get(name), 'zoo') == '' for name in registered(object) if name in RENAMED)
    with pytest.raises(TypeError, match='unexpected keyword'):
        found('SLFBalancer')(zoo=1)
