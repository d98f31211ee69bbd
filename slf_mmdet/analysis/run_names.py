"""Names that tell runs apart."""

from pathlib import Path
from typing import List, Sequence


def distinct_names(paths: Sequence[Path]) -> List[str]:
    """The last parts of each path, as many as it takes to tell them apart.

    Examples:
        >>> distinct_names([Path('/a/static'), Path('/a/slf')])
        ['static', 'slf']
        >>> distinct_names([Path('/a/slf'), Path('/b/slf')])
        ['a/slf', 'b/slf']
    """
    parts = [path.resolve().parts for path in paths]
    longest = max(map(len, parts), default=1)
    depth = next(k for k in range(1, longest + 1) if len({each[-k:] for each in parts}) == len(set(parts)))
    return ['/'.join(each[-depth:]) for each in parts]
