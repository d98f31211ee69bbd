"""Known issue: torch >= 2.6 loads checkpoints with ``weights_only=True`` and rejects what mmengine writes into them.

``--resume``, and testing too, then ends with an UnpicklingError that names HistoryBuffer (the log) or
OneCycleParamScheduler. What a training checkpoint of mmengine holds besides tensors is registered as safe here;
everything else is still rejected.

Can be deleted when mmengine registers its own classes.
"""

import pickle
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from mmengine.optim.scheduler.param_scheduler import OneCycleParamScheduler
from mmengine.utils import digit_version

# Functions that objects in a checkpoint refer to: class -> names
_METHODS = {
    HistoryBuffer: ('mean', 'max', 'min', 'current'),
    OneCycleParamScheduler: ('_annealing_cos', '_annealing_linear'),
}


def apply() -> None:
    """Allows HistoryBuffer, OneCycleParamScheduler, and plain NumPy arrays and numbers."""
    if digit_version(torch.__version__) < digit_version('2.6'):
        return
    multiarray = np._core.multiarray if hasattr(np, '_core') else np.core.multiarray  # type: ignore[attr-defined]
    safe: list[Any] = [
        *_METHODS,
        np.ndarray,
        np.dtype,
        *(type(np.dtype(name)) for name in ('float64', 'float32', 'int64', 'int32', 'bool')),
        (_method, 'builtins.getattr'),
    ]
    for module in ('numpy.core.multiarray', 'numpy._core.multiarray'):  # as NumPy 1 and NumPy 2 write them
        safe += [(multiarray._reconstruct, f'{module}._reconstruct'), (multiarray.scalar, f'{module}.scalar')]
    torch.serialization.add_safe_globals(safe)


def _method(owner: Any, name: str) -> Any:
    """Replaces ``getattr`` in checkpoints: returns the functions above and nothing else."""
    if isinstance(owner, type) and name in _METHODS.get(owner, ()):
        return getattr(owner, name)
    raise pickle.UnpicklingError(f'a checkpoint asks for the attribute {name!r} of {owner!r}, which is not allowed')
