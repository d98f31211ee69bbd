"""Whether a data set holds anything: objects, each class of the config, and images after its filters."""

import difflib
from collections import Counter
from typing import Any, Callable, List, Mapping, Sequence

from mmdet.datasets import BaseDetDataset

from .findings import BadDataError, Finding


def missing_objects(
    path: str, entries: Sequence[dict], classes: Sequence[str], others: Sequence[str] = ()
) -> List[Finding]:
    """Finds that there is no object to train on, or none of a class while others' names occur.

    Args:
        path: file to name.
        entries: data list of a data set, with ``instances``.
        classes: of the config.
        others: names of classes that occur in the data and are not in ``classes``.
    """
    instances = [instance for entry in entries for instance in entry['instances']]
    found = Counter(classes[each['bbox_label']] for each in instances if not each['ignore_flag'])
    if not found:
        wanted = ', '.join(f'{name!r}{did_you_mean(name, others)}' for name in classes)
        there = f'; those of the data are {", ".join(map(repr, others))}' if others else ''
        ignored = f' but {len(instances)} that are ignored (difficult or crowd)' if instances else ''
        counted = f'holds not one object in its {len(entries)} image(s){ignored}'
        return [Finding(path, f'{counted}; the classes of the config are {wanted}{there}')]
    absent = [name for name in classes if not found[name]]
    if not absent or not others:
        return []
    hints = [f'{name!r}{did_you_mean(name, others)}' for name in absent]
    there = ', '.join(map(repr, others))
    return [Finding(path, f'holds no object of class {", ".join(hints)}, but objects of {there}, not in the config')]


def has_objects(entries: Sequence[dict]) -> bool:
    """Whether there is an object, those that are ignored (difficult or crowd) included."""
    return any(entry['instances'] for entry in entries)


def did_you_mean(name: str, others: Sequence[str]) -> str:
    """A question with the name that is closest, or ''."""
    close = difflib.get_close_matches(name.lower(), [other.lower() for other in others], n=1, cutoff=0.7)
    return next((f' (did you mean {other!r}?)' for other in others if close and other.lower() == close[0]), '')


def filtered_away(
    dataset: BaseDetDataset, entries: Sequence[dict], filter_data: Callable[[], Sequence[dict]]
) -> List[Finding]:
    """Finds that ``filter_cfg`` of a data set leaves no image, and how many each of its filters takes.

    Args:
        dataset: that has read the entries.
        entries: its data list before filtering.
        filter_data: its method, which reads ``data_list`` and ``filter_cfg``.
    """
    before, settings = dataset.data_list, dataset.filter_cfg
    filters = dict(settings or {})

    def left(chosen: Mapping[str, Any]) -> int:
        dataset.data_list, dataset.filter_cfg = list(entries), dict(chosen)
        return len(filter_data())

    try:
        if dataset.test_mode or not entries or not filters or left(filters):
            return []
        taken = [f'{key}={value!r} takes {len(entries) - left({key: value})}' for key, value in filters.items()]
    finally:
        dataset.data_list, dataset.filter_cfg = before, settings
    return [Finding(dataset.ann_file, f'filter_cfg leaves none of its {len(entries)} image(s): {", ".join(taken)}')]


class RaisesWhereNothingIsLeft:
    """For data sets of mmdet: an error that says which filter took the last images, before NumPy fails."""

    def filter_data(self: Any) -> List[dict]:
        """Filters as mmdet does.

        Raises:
            BadDataError: nothing is left.
        """
        kept = self.unchecked_filter_data()
        problems = [] if kept else filtered_away(self, self.data_list, self.unchecked_filter_data)
        if problems:
            raise BadDataError(f'{type(self).__name__}: {problems[0]}', problems)
        return kept

    def unchecked_filter_data(self) -> List[dict]:
        """Filters as mmdet does; the result may be empty."""
        return super().filter_data()  # type: ignore[misc]
