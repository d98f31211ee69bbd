"""Every fragment in configs/_base_/balancers, used as a user's config would."""

import inspect

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config

from slf_mmdet.balancers import DetectionQuality, LossBalancer

from ..helpers import CONFIGS

FRAGMENTS = sorted((CONFIGS / '_base_' / 'balancers').glob('*.py'))
NAMES = [path.stem for path in FRAGMENTS]
BASE = CONFIGS / 'yolov1' / 'yolov1_nano_1xb16-12e_digits-112px.py'


def user_config(folder, fragment):
    path = folder / 'my_config.py'
    path.write_text(
        f'_base_ = [{str(BASE)!r}, {str(fragment)!r}]\n'
        'model = dict(bbox_head=dict(loss_balancer=_base_.loss_balancer))\n',
        encoding='utf-8',
    )
    return Config.fromfile(path)


def test_every_balancer_has_a_fragment():
    types = {Config.fromfile(path).loss_balancer.type for path in FRAGMENTS}
    registered = [kind for kind in MODELS.module_dict.values() if isinstance(kind, type)]
    ours = {kind.__name__ for kind in registered if issubclass(kind, LossBalancer) and is_ours(kind)}
    assert types == ours and {'SLFBalancer', 'PaperSLFBalancer', 'LDCMTLBalancer', 'GraPBalancer'} <= types


def is_ours(kind):
    return kind.__module__.startswith('slf_mmdet.')


@pytest.mark.parametrize('fragment', FRAGMENTS, ids=NAMES)
def test_a_fragment_is_all_it_takes(fragment, tmp_path):
    cfg = user_config(tmp_path, fragment)
    balancer = MODELS.build(cfg.model).bbox_head.loss_balancer
    assert type(balancer).__name__ == cfg.loss_balancer.type
    weight = torch.rand(balancer.feature_dim, requires_grad=True)
    output = torch.rand(2, balancer.feature_dim) * weight
    parts = {name: output[:, i].square() for i, name in enumerate(balancer.parts)}
    out = balancer(
        parts,
        output,
        shared_parameters=weight,
        output_parameters=weight,
        detection_quality=DetectionQuality(lambda inputs: (-inputs[0].square().sum(1)).exp().mean(), [output]),
    )
    assert sum(value for key, value in out.items() if 'loss' in key) > 0


@pytest.mark.parametrize('fragment', FRAGMENTS, ids=NAMES)
def test_a_fragment_changes_the_balancer_alone(fragment, tmp_path):
    ours, base = user_config(tmp_path, fragment).to_dict(), Config.fromfile(BASE).to_dict()
    assert ours['model']['bbox_head'].pop('loss_balancer') == ours.pop('loss_balancer')
    base['model']['bbox_head'].pop('loss_balancer')
    assert ours == base


@pytest.mark.parametrize('fragment', FRAGMENTS, ids=NAMES)
def test_a_fragment_says_what_it_is(fragment):
    assert fragment.read_text(encoding='utf-8').startswith('# ')


WITH_DEFAULTS = [fragment for fragment in FRAGMENTS if fragment.stem != 'scheduled']  # a schedule has none


@pytest.mark.parametrize('fragment', WITH_DEFAULTS, ids=[fragment.stem for fragment in WITH_DEFAULTS])
def test_a_fragment_shows_defaults_only(fragment):
    settings = Config.fromfile(fragment).loss_balancer.to_dict()
    kind = MODELS.get(settings.pop('type'))
    arguments = inspect.signature(kind).parameters
    assert settings == {key: arguments[key].default for key in settings}
