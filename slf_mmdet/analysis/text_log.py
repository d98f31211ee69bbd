"""Reads what only the text log of a run has: the metric of each class, warnings, the environment."""

import re
from pathlib import Path
from typing import Dict, Iterable, List, NamedTuple

# As mmdet's VOCMetric prints it: | class | gts | dets | recall | ap |
HEADER = re.compile(r'^\| class +\| gts +\| dets +\| recall +\| ap +\|$')
ROW = re.compile(
    r'^\| (?P<name>\S.*?) +\| (?P<gts>\d+) +\| (?P<dets>\d+) +\| (?P<recall>[\d.]+) +\| (?P<ap>[\d.]+) +\|$'
)
WARNING = re.compile(r'^\S+ \S+ - mmengine - WARNING - (?P<text>\w+Hook: .*)$')
ENVIRONMENT = re.compile(r'^ +(?P<name>Python|PyTorch|MMEngine|GPU 0|CUDA available|seed): (?P<value>.+)$')


class ClassResult(NamedTuple):
    """Result of one class.

    Attributes:
        name: of the class.
        ap: average precision in [0, 1].
        recall: in [0, 1].
        objects: number of ground-truth objects.
    """

    name: str
    ap: float
    recall: float
    objects: int


class TextLog(NamedTuple):
    """Contents of the text logs.

    Attributes:
        classes: results of the last evaluation.
        warnings: of hooks, in order.
        environment: versions, device, seed.
    """

    classes: List[ClassResult]
    warnings: List[str]
    environment: Dict[str, str]


def read_text_logs(folders: Iterable[Path]) -> TextLog:
    """Reads the text logs in the folders of a training, in order; without one, everything is empty."""
    classes: List[ClassResult] = []
    warnings: List[str] = []
    environment: Dict[str, str] = {}
    for path in [path for folder in folders for path in sorted(folder.glob('*.log'))]:
        for line in path.read_text(encoding='utf-8', errors='replace').splitlines():
            row, warning, version = ROW.match(line), WARNING.match(line), ENVIRONMENT.match(line)
            if HEADER.match(line):
                classes = []
            elif row:
                classes.append(ClassResult(row['name'], float(row['ap']), float(row['recall']), int(row['gts'])))
            elif warning:
                warnings.append(warning['text'])
            elif version:
                environment[version['name']] = version['value']
    return TextLog(classes, warnings, environment)
