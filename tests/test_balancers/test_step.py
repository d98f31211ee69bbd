"""What a detector offers in a step: computed when it is asked for, and an error when it is not there."""

from pathlib import Path

import pytest
import torch

import slf_mmdet
from slf_mmdet.balancers import DetectionQuality, Step

from .registry import all_balancers, build, offered, random_inputs

# What is computed when it is asked for, and by whom it is offered
LAZY = dict(
    shared_parameters='YOLOV1Head and BalancedDetector offer them',
    output_parameters='YOLOV1Head offers them',
    detection_quality='YOLOV1Head and BalancedDetector offer it',
    quality_of='The detectors YOLOV1 and BalancedDetector offer it',
)


def step(**offers):
    return Step(torch.ones(2, requires_grad=True), ('a', 'b'), **offers)


@pytest.mark.parametrize('key', LAZY)
def test_what_is_not_offered_is_an_error_that_says_who_what_and_what_to_take(key):
    arguments = ({},) if key == 'quality_of' else ()
    message = (
        rf'^MyMethod needs `{key}`, which is not offered in this step. {LAZY[key]}; '
        rf'in a training loop of your own, call the balancer with {key}=... Or take StaticBalancer\.$'
    )
    with pytest.raises(ValueError, match=message):
        getattr(step(), key)(*arguments, 'MyMethod', 'Or take StaticBalancer.')


@pytest.mark.parametrize('key', ['shared_parameters', 'output_parameters'])
def test_parameters_are_a_tensor_or_several_or_a_function_that_makes_them(key):
    one, other = torch.ones(2, requires_grad=True), torch.ones(3, requires_grad=True)
    frozen = torch.ones(3)
    for given, expected in [
        (one, [one]),
        ((one, other), [one, other]),
        ([one, frozen], [one]),
        (lambda: one, [one]),
        (lambda: [frozen, other], [other]),
    ]:
        found = getattr(step(**{key: given}), key)('MyMethod')
        assert len(found) == len(expected) and all(a is b for a, b in zip(found, expected))


@pytest.mark.parametrize('key', ['shared_parameters', 'output_parameters'])
def test_nothing_to_differentiate(key):
    trained = torch.ones(2, requires_grad=True)
    with pytest.raises(ValueError, match=rf'^MyMethod .* `{key}`, but none of them requires a gradient.* Or else\.$'):
        getattr(step(**{key: [torch.ones(2)]}), key)('MyMethod', 'Or else.')
    with pytest.raises(
        ValueError, match=rf'^MyMethod .* `{key}`, but the parts carry no graph.*do not detach the parts'
    ):
        getattr(Step(torch.ones(2), ('a', 'b'), **{key: trained}), key)('MyMethod')


def test_detection_quality_is_a_value_or_a_function_that_makes_it():
    quality = DetectionQuality(lambda inputs: inputs[0].sum(), [torch.ones(2)])
    assert step(detection_quality=quality).detection_quality('MyMethod') is quality
    assert step(detection_quality=lambda: quality).detection_quality('MyMethod') is quality
    assert step(quality_of=lambda data: data['value']).quality_of(dict(value=7), 'MyMethod') == 7


def slf(signal='TrainingLoss', **prior):
    signal = signal if isinstance(signal, dict) else dict(type=signal)
    if signal['type'] in ('DeltaAP', 'GradientAlignment', 'ValidationSignal'):
        signal['interval'] = 2
    return dict(name='SLFBalancer', signal=signal, prior=prior or dict(type='BaseWeights'))


# Method -> what it asks for in its first step -> who asks, and what an error says to take instead
ASKS = [
    (dict(name='GradNormBalancer'), dict(shared_parameters=('GradNormBalancer', 'FAMOBalancer needs none'))),
    (
        dict(name='GraPBalancer'),
        dict(
            shared_parameters=('GraPBalancer', 'FAMOBalancer the losses alone'),
            detection_quality=('GraPBalancer', 'GradNormBalancer needs shared parameters alone'),
        ),
    ),
    (dict(name='SLFBalancer'), dict(detection_quality=('the signal DeltaAP', "signal=dict(type='LossRate')"))),
    (
        slf('GradientAlignment'),
        dict(
            shared_parameters=('the signal GradientAlignment', "signal=dict(type='DeltaAP')"),
            detection_quality=('the signal GradientAlignment', "target='training_loss'"),
        ),
    ),
    (
        slf(dict(type='GradientAlignment', target='training_loss')),
        dict(shared_parameters=('the signal GradientAlignment', "signal=dict(type='DeltaAP')")),
    ),
    (
        slf(dict(type='ValidationSignal', dataset=dict(type='RandomImages'), batch_size=2)),
        dict(
            shared_parameters=('the signal ValidationSignal', "signal=dict(type='GradientAlignment')"),
            quality_of=('the signal ValidationSignal', "signal=dict(type='GradientAlignment')"),
        ),
    ),
    (
        slf(type='EqualGradientNorms'),
        dict(output_parameters=('the prior EqualGradientNorms', "type='EqualGradientNorms', at='shared'")),
    ),
    (
        slf(type='EqualGradientNorms', at='shared'),
        dict(shared_parameters=('the prior EqualGradientNorms', "type='EqualWeights'")),
    ),
    *[(slf(signal), {}) for signal in ('TrainingLoss', 'RelativeLoss', 'LossRate')],
    *[
        (dict(name=name), {})
        for name in all_balancers()
        if name not in ('GraPBalancer', 'GradNormBalancer', 'SLFBalancer')
    ],
]


def called(balancer, seed):
    """What a balancer asks for in a step, each as often as it does."""
    parts, features = random_inputs(seed=seed)
    offers, asked = offered(features), []

    def watched(key):
        def function(*args):
            asked.append(key)
            return offers[key](*args)

        return function

    balancer(parts, features, **{**offers, **{key: watched(key) for key in LAZY}})
    return sorted(asked)


@pytest.mark.parametrize(('settings', 'asks'), ASKS)
def test_only_what_a_method_asks_for_is_computed_and_once(settings, asks):
    assert called(build(**settings), seed=0) == sorted(asks)
    assert called(build(**settings).eval(), seed=0) == []


@pytest.mark.parametrize('settings', [settings for settings, _ in ASKS if 'interval' in settings.get('signal', {})])
def test_nothing_is_computed_between_measurements(settings):
    balancer = build(**settings)
    assert [bool(called(balancer, seed)) for seed in range(4)] == [True, False, True, False]


@pytest.mark.parametrize(
    ('settings', 'key', 'who', 'instead'),
    [(settings, key, *texts) for settings, asks in ASKS for key, texts in asks.items()],
)
def test_a_detector_that_does_not_offer_it(settings, key, who, instead):
    parts, features = random_inputs()
    offers = offered(features)
    del offers[key]
    with pytest.raises(ValueError) as error:
        build(**settings)(parts, features, **offers)
    assert str(error.value).startswith(f'{who} needs `{key}`, which is not offered in this step.')
    assert instead in str(error.value)


def test_no_class_declares_what_it_needs():
    """It asks the step for it: there is one way."""
    sources = sorted(Path(slf_mmdet.__file__).parent.rglob('*.py'))
    assert len(sources) > 100
    assert [str(path) for path in sources if 'needs_' in path.read_text()] == []
