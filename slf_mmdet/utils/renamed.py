"""Settings of versions before the first release, and what took their place."""

import functools
import inspect
from typing import Any, Dict, Iterable

_SAMPLER = 'It is a setting of the sampler: sampler=dict(type={!r}, {}=...).'
_GUMBEL = 'MultipleGumbelSoftmax'
_SAMPLING = {key: _SAMPLER.format(_GUMBEL, key) for key in ('num_samples', 'tau', 'hard', 'seed', 'noise')}

# Class -> old setting -> what to write now
RENAMED: Dict[str, Dict[str, str]] = {
    'LossBalancer': dict(context_dim='It is called feature_dim.'),
    'SLFBalancer': dict(
        _SAMPLING,
        objective="It is called signal: 'joint' is signal=dict(type='TrainingLoss'), 'normalized' "
        "dict(type='RelativeLoss'), 'improvement' dict(type='LossRate'), 'heldout' dict(type='GradientAlignment'), "
        "'delta_ap' dict(type='DeltaAP').",
        anchor="It is called prior: 'base' is prior=dict(type='BaseWeights'), 'gradients' "
        "dict(type='EqualGradientNorms').",
        initial="The weights start at the prior: prior=dict(type='EqualWeights') for uniform ones.",
        base_share='It is called prior_share.',
        detach_context="PaperSLFBalancer is Algorithm 1, which differentiates its features; SLFBalancer doesn't.",
    ),
    'StochasticLoss': dict(
        _SAMPLING,
        context_dim='It is called feature_dim.',
        initial='It is called base_weights: a number > 0 for each candidate, or None for equal ones.',
        detach_context='PaperStochasticLoss is Algorithm 1, which differentiates its features.',
    ),
    'BalancedDetector': dict(context="It is called features: features='parts', or the name of a submodule."),
    'GradientAlignment': dict(
        reference="It is called target: 'criterion' is 'detection_quality', 'base' 'training_loss'."
    ),
}


def new_name(kind: type, setting: str) -> str:
    """What to write instead of a setting that a class or one of its bases had once; ``''`` if it never had it."""
    for cls in getattr(kind, '__mro__', ()):
        if setting in RENAMED.get(cls.__name__, {}):
            return RENAMED[cls.__name__][setting]
        if '__init__' in vars(cls) and setting in inspect.signature(vars(cls)['__init__']).parameters:
            return ''  # a class that inherits may use the name for something else
    return ''


def check_renamed(kind: type, settings: Iterable[str]) -> None:
    """Raises a ``TypeError`` that says the new name if one of the settings of a class has an old one."""
    for setting in settings:
        hint = new_name(kind, setting)
        if hint:
            raise TypeError(f'{kind.__name__} has no setting {setting!r}. {hint}')


def reject_renamed(cls: Any) -> Any:
    """Class decorator: an old name of a setting is a ``TypeError`` that says the new one."""
    init = cls.__init__

    @functools.wraps(init)
    def checked_init(self: Any, *args: Any, **kwargs: Any) -> None:
        check_renamed(type(self), kwargs)
        init(self, *args, **kwargs)

    cls.__init__ = checked_init
    return cls
