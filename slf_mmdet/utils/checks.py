"""Errors of invalid settings: the name, what it must be, and what was found."""

import sys


def require(condition: bool, owner: str, key: str, wanted: str, found: object, hint: str = '') -> None:
    """Checks a setting.

    Args:
        condition: whether the setting is right.
        owner: class that has the setting.
        key: name of the setting.
        wanted: what it must be, to be read after "must be".
        found: its value.
        hint: a sentence on what the setting means.

    Raises:
        ValueError: ``condition`` does not hold.
    """
    if not condition:
        raise ValueError(f'{owner}: {key} must be {wanted}, found {found!r}. {hint}'.rstrip())


def is_number(value: object, low: float = -sys.float_info.max, high: float = sys.float_info.max) -> bool:
    """Whether a setting is a finite number in [low, high]; text, ``None``, True and nan are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value <= high


def is_count(value: object, low: int = 1) -> bool:
    """Whether a setting is an integer >= low; True is none."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= low


def is_share(value: object) -> bool:
    """Whether a setting is a number in (0, 1)."""
    return is_number(value, 0, 1) and value not in (0, 1)
