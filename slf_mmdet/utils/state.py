"""State that survives a checkpoint: a step counter, what follows from it alone, and tensors of unknown size.

mmengine's checkpoint carries parameters and buffers only. So the random numbers and the scheduled values of a step are
functions of (seed, step), and the two integers are all that has to be saved.
"""

from typing import Any, Optional, Union

import numpy as np
import torch
from mmengine import dist
from mmengine.registry import PARAM_SCHEDULERS
from torch import Tensor, nn

from .checks import is_count, require


class StepCounter(nn.Module):
    """Counts training steps in a buffer, with a mirror in Python that costs no synchronisation to read."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer('steps', torch.zeros((), dtype=torch.long))
        self.steps: Tensor
        self.value = 0

    def advance(self) -> None:
        self.steps += 1
        self.value += 1

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self.value = int(self.steps)


class StepGenerator(nn.Module):
    """Makes the random generator of a step: the same (seed, step) gives the same numbers.

    Args:
        seed: ``None`` draws one from torch's global generator, so that it follows the seed of the run. Then all
            processes take that of the first, since a run may seed them differently (``diff_rank_seed``).
        owner: class that has the setting, for the text of an error.

    Raises:
        ValueError: ``seed`` is neither ``None`` nor an integer >= 0.
    """

    def __init__(self, seed: Union[int, None] = None, owner: str = 'StepGenerator') -> None:
        super().__init__()
        wanted = 'an integer >= 0, or None for one from the seed of the run'
        require(seed is None or is_count(seed, 0), owner, 'seed', wanted, seed)
        drawn = torch.randint(2**31, (), device='cpu') if seed is None else torch.tensor(seed, device='cpu')
        if seed is None:
            dist.broadcast(drawn)
        self.register_buffer('seed', drawn.long())
        self.seed: Tensor
        self.value = int(drawn)

    def at(self, step: int, device: torch.device, rank: int = 0) -> torch.Generator:
        """The generator of a step; ``rank`` is the number of the process, where processes draw independently."""
        numbers = (self.value, step, rank) if rank else (self.value, step)
        mixed = np.random.SeedSequence(numbers).generate_state(1, np.uint32)
        return torch.Generator(device).manual_seed(int(mixed[0]))

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self.value = int(self.seed)


class LateTensor(nn.Module):
    """A tensor of which the size is known only when a run has begun; from then on a part of the checkpoint.

    It is no buffer: copies of a model that are averaged (``EMAHook``) are made before it has its size, and the buffers
    of both must fit. Copies have none.

    Attributes:
        value: ``None`` before the first. One that is not finite is not saved.
    """

    def __init__(self) -> None:
        super().__init__()
        self.value: Optional[Tensor] = None
        # mmengine saves checkpoints with its own function, which calls these hooks, but no `get_extra_state`
        self._register_state_dict_hook(_save_value)

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args: Any, **kwargs: Any) -> None:
        saved = state_dict.pop(f'{prefix}value', None)
        self.value = None if saved is None or not len(saved) else saved.clone()
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


def _save_value(module: LateTensor, state_dict: dict, prefix: str, local_metadata: Any) -> None:
    if module.value is not None and module.value.isfinite().all():
        state_dict[f'{prefix}value'] = module.value.detach().clone()


class ScheduledValue:
    """A number that follows mmengine's parameter schedulers, one step per training iteration.

    Args:
        value: a number for a constant, or ``dict(value=5.0, schedulers=[dict(type='LinearParamScheduler', ...)])``:
            the value at the start and any of mmengine's parameter schedulers without ``param_name`` (``by_epoch`` is
            off: their ``begin``, ``end`` and ``T_max`` count iterations).
        name: of the setting, for the text of an error.

    Raises:
        TypeError: ``value`` is neither a number nor such a dict.
    """

    def __init__(self, value: Union[float, dict], name: str = 'a scheduled value') -> None:
        if isinstance(value, dict) and set(value) == {'value', 'schedulers'}:
            self.start, self.schedulers_cfg = float(value['value']), list(value['schedulers'])
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            self.start, self.schedulers_cfg = float(value), []
        else:
            raise TypeError(
                f'{name} must be a number or dict(value=NUMBER, schedulers=[dict(type=..., ...), ...]), '
                f'found {value!r}.'
            )
        self._rewind()

    def at(self, step: int) -> float:
        """The value at a step; cheap when steps come in order."""
        if not self._schedulers:
            return self.start
        if step < self._step:
            self._rewind()
        while self._step < step:
            for scheduler in self._schedulers:
                scheduler.step()
            self._step += 1
        return self._holder.param_groups[0]['value']

    def _rewind(self) -> None:
        # mmengine's schedulers change a field of an optimizer's parameter group: this one holds nothing else.
        self._holder = torch.optim.SGD([dict(params=[torch.zeros(())], value=self.start)], lr=0.0)
        self._schedulers = [
            PARAM_SCHEDULERS.build(dict(cfg, optimizer=self._holder, param_name='value', by_epoch=False))
            for cfg in self.schedulers_cfg
        ]
        self._holder.__dict__['_global_step'] = (
            0  # schedulers warn when the optimizer has not stepped; this one never does
        )
        self._step = 0
