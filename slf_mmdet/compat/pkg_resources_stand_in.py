"""Replaces ``pkg_resources`` by what mmengine 0.10 uses of it, on top of ``importlib.metadata``."""

from importlib.metadata import Distribution as _Distribution
from importlib.metadata import PackageNotFoundError as DistributionNotFound
from importlib.metadata import distribution as _find

__all__ = ['Distribution', 'DistributionNotFound', 'get_distribution']


class Distribution:
    """An installed distribution."""

    def __init__(self, found: _Distribution) -> None:
        self._found = found

    @property
    def location(self) -> str:
        """The folder that holds the packages of the distribution."""
        return str(self._found.locate_file(''))

    @property
    def version(self) -> str:
        return self._found.version

    def has_metadata(self, name: str) -> bool:
        return self._found.read_text(name) is not None

    def get_metadata(self, name: str) -> str:
        text = self._found.read_text(name)
        if text is None:
            raise FileNotFoundError(f'{self._found.metadata["Name"]} has no metadata file {name}')
        return text


def get_distribution(name: str) -> Distribution:
    """The distribution of that name.

    Raises:
        DistributionNotFound: it is not installed.
    """
    return Distribution(_find(name))
