"""What is found wrong in the files of a data set, and how it is listed."""

from typing import Dict, List, NamedTuple, Sequence

_MAX_LISTED = 10


class Finding(NamedTuple):
    """Something wrong in one file."""

    path: str
    reason: str

    def __str__(self) -> str:
        return f'{self.path}: {self.reason}'


class BadDataError(ValueError):
    """A data set that cannot be trained on.

    Args:
        message: the text of the error.
        problems: all findings, those that the text leaves out included.
        usable: the entries of the data list that have no problem.
    """

    def __init__(self, message: str, problems: Sequence[Finding] = (), usable: Sequence[dict] = ()) -> None:
        super().__init__(message)
        self.problems: List[Finding] = list(problems)
        self.usable = list(usable)


def listed(findings: Sequence[Finding]) -> str:
    """One line for each of the first findings, and how many more there are."""
    lines = [f'  {finding}' for finding in findings[:_MAX_LISTED]]
    if len(findings) > _MAX_LISTED:
        lines.append(f'  ... and {len(findings) - _MAX_LISTED} more')
    return '\n'.join(lines)


def counted(counts: Dict[str, int]) -> str:
    """Names with their number of objects."""
    return ', '.join(f'{name!r} ({count} objects)' for name, count in sorted(counts.items()))
