"""Groups the losses of a detector into the parts of its objective."""

import keyword
import logging
import re
import zlib
from typing import Any, Dict, Iterable, List, Mapping, Optional, Pattern, Sequence, Set, Tuple, Union

import torch
from mmengine.logging import print_log
from mmengine.utils import is_list_of
from torch import Tensor, nn

EXAMPLE = "parts=dict(cls='loss_cls', box='loss_bbox')"


def part_name(key: str) -> str:
    """Name of the part that consists of a single loss.

    Examples:
        >>> [part_name(key) for key in ('loss_cls', 'loss_rpn_cls', 'd0.loss_cls', 'loss')]
        ['cls', 'rpn_cls', 'd0.cls', 'total']
    """
    return re.sub('loss_|_loss|loss', '', key) or 'total'


class LossParts:
    """Groups the entries of a loss dict into named parts.

    Only keys that contain "loss" count, which are those that mmengine adds to the objective.

    Args:
        patterns: part -> key, or regular expression that matches keys in full, or a list of these. A part is the sum
            of the losses that it matches. Or a list of keys, each a part of its own, named by :func:`part_name`.
        all_losses: whether the parts are meant to be all losses. Then there is a warning of a loss that is in none,
            such as one that starts later in the training.

    Raises:
        ValueError: there is no part, a name is a keyword of Python, or a pattern is not a regular expression.

    Examples:
        >>> import torch
        >>> parts = LossParts(dict(rpn='loss_rpn_.*', box='loss_bbox'))
        >>> losses = dict(loss_rpn_cls=[torch.tensor(1.0), torch.tensor(2.0)], loss_bbox=torch.tensor(4.0))
        >>> parts.collect(losses)
        {'rpn': tensor(3.), 'box': tensor(4.)}
    """

    def __init__(
        self, patterns: Union[Mapping[str, Union[str, Sequence[str]]], Sequence[str]], all_losses: bool = False
    ) -> None:
        if isinstance(patterns, str) or not patterns:
            raise ValueError(f'parts must say which losses make up which part, as in {EXAMPLE}; found {patterns!r}.')
        if not isinstance(patterns, Mapping):
            names = [part_name(key) for key in patterns]
            if len(set(names)) < len(names):
                raise ValueError(f'the losses {list(patterns)} would be parts of one name: name them, as in {EXAMPLE}.')
            patterns = {name: re.escape(key) for name, key in zip(names, patterns)}
        for name in patterns:
            if keyword.iskeyword(name):
                raise ValueError(
                    f'the part name {name!r} is a word of Python, and mmengine could not write the config: take '
                    f'{name}_ or another name.'
                )
        self.patterns: Dict[str, List[Pattern[str]]] = {
            name: [_compile(name, pattern) for pattern in ([value] if isinstance(value, str) else value)]
            for name, value in patterns.items()
        }
        self._owners: Dict[Tuple[str, ...], Dict[str, str]] = {}
        self._all_losses = all_losses
        self._strays: Set[str] = set()

    @property
    def names(self) -> Tuple[str, ...]:
        return tuple(self.patterns)

    def collect(self, losses: Mapping[str, Any], complete: bool = True) -> Dict[str, Tensor]:
        """Reduces the losses to parts, as mmengine's ``parse_losses`` would: means of tensors, sums over lists.

        Args:
            losses: key -> tensor or list of tensors, as a detector returns them.
            complete: whether each part must match, as in the first step of a run. In later ones a part that does not,
                such as that of a head that saw no proposal, is 0; so is one whose lists are empty.

        Returns:
            part -> scalar.

        Raises:
            ValueError: no part matches, or one does not and all must, two parts match one key, or a part has the name
                of a loss that is in no part.
            TypeError: a loss is neither a tensor nor a list of tensors.
        """
        owners = self.owners(losses, complete)
        parts: Dict[str, Tensor] = {}
        for key, name in owners.items():
            value = _reduce(key, losses[key])
            if value is not None:
                parts[name] = parts[name] + value if name in parts else value
        if not parts:
            raise ValueError(f'all losses of the parts are empty lists: {list(owners)}.')
        zero = next(iter(parts.values())).new_zeros(())
        return {name: parts.get(name, zero) for name in self.names}

    def replace(self, losses: Mapping[str, Any], balanced: Mapping[str, Tensor]) -> Dict[str, Any]:
        """Replaces the losses that are in parts by what a balancer returned; the others are unchanged."""
        owners = self.owners(losses)
        out: Dict[str, Any] = {}
        for key, value in losses.items():
            ours = f'loss_{owners[key]}' if key in owners else key
            out[ours] = balanced[ours] if key in owners else value
        return {**out, **balanced}

    def owners(self, losses: Iterable[str], complete: bool = False) -> Dict[str, str]:
        """Loss key -> its part, for the keys that are in one; errors as of :meth:`collect`."""
        keys = tuple(losses)
        if keys not in self._owners:
            self._owners[keys] = self._match(keys)
        owners = self._owners[keys]
        missing = set(self.names).difference(owners.values())
        if not owners or (missing and complete):
            wanted = {name: [one.pattern for one in self.patterns[name]] for name in self.names if name in missing}
            present = [key for key in keys if 'loss' in key]
            raise ValueError(
                f'no loss matches {wanted}. The losses are {present}. Patterns are keys or regular expressions that '
                "match in full: 'loss_rpn_.*' for all keys that begin with loss_rpn_."
            )
        return owners

    def _match(self, keys: Tuple[str, ...]) -> Dict[str, str]:
        owners: Dict[str, str] = {}
        present = [key for key in keys if 'loss' in key]
        for key in present:
            found = [
                name for name, patterns in self.patterns.items() if any(pattern.fullmatch(key) for pattern in patterns)
            ]
            if len(found) > 1:
                raise ValueError(
                    f'the loss {key!r} is matched by the parts {found}: each loss belongs to one part at most.'
                )
            if found:
                owners[key] = found[0]
        for name in self.names:
            if f'loss_{name}' in present and f'loss_{name}' not in owners:
                raise ValueError(
                    f'the part {name!r} would be logged as loss_{name}, but that is a loss that is in no part. Give '
                    'the part another name, or add the loss to a part.'
                )
        strays = [key for key in present if key not in owners and key not in self._strays]
        if strays and self._all_losses:
            self._strays.update(strays)
            print_log(
                f'the losses {strays} are in no part and keep the weight 1: the parts {list(self.names)} were found '
                "before they appeared. To balance them, give parts in loss_balancer, as in parts=dict(cls='loss_cls', "
                f"box=['loss_bbox', {strays[0]!r}]).",
                'current',
                logging.WARNING,
            )
        return owners


class AllMatched(nn.Module):
    """Whether each part has matched a loss in a step of the run; in the checkpoint, so a run may resume without one.

    Args:
        loss_parts: of the run. With other patterns what a checkpoint says does not count.

    Attributes:
        value: whether it has.
    """

    def __init__(self, loss_parts: LossParts) -> None:
        super().__init__()
        patterns = {name: [one.pattern for one in some] for name, some in loss_parts.patterns.items()}
        self._fingerprint = zlib.crc32(repr(patterns).encode())
        self.register_buffer('patterns', torch.zeros((), dtype=torch.long))
        self.patterns: Tensor
        self.value = False

    def note(self) -> None:
        """To be called after a step in which all matched; a later one changes nothing."""
        if not self.value:
            self.patterns.fill_(self._fingerprint)
            self.value = True

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self.value = int(self.patterns) == self._fingerprint


def _compile(name: str, pattern: str) -> Pattern[str]:
    try:
        return re.compile(pattern)
    except (re.error, TypeError) as error:
        raise ValueError(
            f'parts[{name!r}]: {pattern!r} is neither a loss key nor a regular expression ({error}). All keys that '
            "begin with loss_rpn_ are 'loss_rpn_.*'."
        ) from None


def _reduce(key: str, value: Any) -> Optional[Tensor]:
    """As mmengine's ``parse_losses``; ``None`` of an empty list."""
    if isinstance(value, Tensor):
        return value.mean()
    if isinstance(value, list) and not value:
        return None
    if is_list_of(value, Tensor):
        return sum(item.mean() for item in value)
    raise TypeError(f'the loss {key!r} must be a tensor or a list of tensors, found {type(value).__name__}.')
