"""The arms of a comparison: what each does to the config. Arms of balancers are in ``balancer_arms.py``."""

import argparse
import copy
import difflib
import inspect
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

from mmengine.config import Config, DictAction
from mmengine.runner import Runner

AS_IT_IS = 'config'


@dataclass(frozen=True, eq=False)
class Arm:
    """One arm: the config as it is, unless a subclass changes it.

    Args:
        label: its name in the table and, without characters that a file name cannot have, of its folder.
    """

    label: str

    @property
    def folder(self) -> str:
        return ''.join(c if c.isalnum() or c in '-_.=,' else '_' for c in self.label.replace(' ', ''))

    def apply(self, cfg: Config) -> Config:
        """The arm's config: a changed copy of that of the comparison."""
        return copy.deepcopy(cfg)


@dataclass(frozen=True, eq=False)
class ConfigArm(Arm):
    """Another config instead of that of the comparison.

    Args:
        label: see :class:`Arm`.
        cfg: the config, with all options merged.
    """

    cfg: Config

    def apply(self, cfg: Config) -> Config:
        return copy.deepcopy(self.cfg)


@dataclass(frozen=True, eq=False)
class OptionsArm(Arm):
    """The config with some options of its own.

    Args:
        label: see :class:`Arm`.
        options: dotted key -> value, as of ``--cfg-options``.
    """

    options: Dict[str, Any]

    def apply(self, cfg: Config) -> Config:
        """The config with the options.

        Raises:
            ValueError: an option changes what is not in the config; mmengine would add it and nothing would use it.
        """
        known = [*_containers(cfg), *cfg.keys(), *inspect.signature(Runner).parameters]
        for key in self.options:
            changed = key.rpartition('.')[0] or key
            if changed not in known:
                raise ValueError(
                    f'arm {self.label!r}: the option {key!r} changes {changed!r}, which is not in the config. '
                    f'Nearest in it: {_nearest(changed, known)}.'
                )
        cfg = copy.deepcopy(cfg)
        cfg.merge_from_dict(self.options)
        return cfg


def parse_options(text: str) -> OptionsArm:
    """Reads ``label: key=value key=value``, or without a label, which then consists of the last parts of the keys.

    Raises:
        ValueError: the text is not of this form.
    """
    found = re.fullmatch(r'\s*(?:(?P<label>.+?):\s*)?(?P<options>[\w.-]+=.*)', text, re.DOTALL)
    parser = argparse.ArgumentParser(add_help=False, exit_on_error=False)
    parser.add_argument('--options', nargs='+', action=DictAction)
    try:
        words = shlex.split(found['options'] if found else '')
        options = parser.parse_args(['--options', *words]).options
    except (argparse.ArgumentError, ValueError):
        raise ValueError(
            f"{text!r} is not a valid arm: write options of the config, as in 'model.head.loss.kl_weight=1', with or "
            "without a name, as in 'weak: model.head.loss.kl_weight=1'."
        ) from None
    short = ', '.join(word.partition('=')[0].rpartition('.')[2] + '=' + word.partition('=')[2] for word in words)
    label = found['label'] if found else None
    return OptionsArm((label or short).strip(), options)


def parse_configs(texts: Sequence[str], options: Optional[dict] = None) -> List[ConfigArm]:
    """Reads paths of configs, or ``label=path``. Without a label a config is named by the words of
    its file name that not all of them share.

    Args:
        texts: the first one is the config of the comparison; it is not repeated where the others name it again
            without a label.
        options: merged into each of them.

    Raises:
        FileNotFoundError: there is no such config.
    """
    split = [text.rpartition('=') for text in texts]
    first = Path(split[0][2]).resolve()
    split = split[:1] + [part for part in split[1:] if part[0] or Path(part[2]).resolve() != first]
    short = short_names([Path(path).stem for _, _, path in split])
    arms = []
    for (label, _, path), name in zip(split, short):
        cfg = Config.fromfile(path)
        if options:
            cfg.merge_from_dict(copy.deepcopy(options))
        arms.append(ConfigArm(label or name, cfg))
    return arms


def short_names(names: Sequence[str]) -> List[str]:
    """Names without the words, between underscores, that all of them share; as they are where nothing would be left.

    Examples:
        >>> short_names(['mlp_ce_mnist', 'mlp_slf_mnist'])
        ['ce', 'slf']
    """
    words = [name.split('_') for name in names]
    shared = set(words[0]).intersection(*words[1:])
    return ['_'.join(word for word in own if word not in shared) or name for own, name in zip(words, names)]


def check_distinct(arms: Sequence[Arm]) -> None:
    """Two arms must not share a folder.

    Raises:
        ValueError: two labels are the same or differ only in characters that a folder name cannot hold.
    """
    folders: Dict[str, Tuple[str, ...]] = {}
    for arm in arms:
        folders[arm.folder] = (*folders.get(arm.folder, ()), arm.label)
    clashes = [labels for labels in folders.values() if len(labels) > 1]
    if clashes:
        raise ValueError(
            f"arms {clashes[0]} share a name; label them: a=slf(...) or a=path/of/config.py, or 'a: key=value' "
            'where options are varied.'
        )


def _children(node: Any) -> Dict[str, Any]:
    if isinstance(node, (dict, Config)):
        return {str(key): value for key, value in node.items()}
    if isinstance(node, (list, tuple)):
        return {str(index): value for index, value in enumerate(node)}
    return {}


def _containers(node: Any, prefix: str = '') -> Iterator[str]:
    """Dotted keys of all dicts and lists in a config."""
    for key, value in _children(node).items():
        if isinstance(value, (dict, list, tuple)):
            yield prefix + key
            yield from _containers(value, f'{prefix}{key}.')


def _nearest(key: str, known: Sequence[str]) -> List[str]:
    close = difflib.get_close_matches(key, sorted(set(known)), n=3)
    while not close and key:  # a deep key may be far from all: show its siblings
        key = key.rpartition('.')[0]
        close = sorted({name for name in known if name.rpartition('.')[0] == key})
    return close
