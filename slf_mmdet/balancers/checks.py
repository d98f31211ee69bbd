"""The wording of a wrong setting: its name, what it must be, and what was found."""


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
