"""The report of a run, or of several side by side: one self-contained HTML file."""

import base64
import io
import json
import re
from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from matplotlib.figure import Figure
from mmengine.config import Config
from PIL import Image

from ..hooks import precision_recall, weight_picture
from ..hooks.precision_recall import FILE, draw_precision_recall
from ..utils.metrics import main_metric, rule_of
from .collapse_history import build_balancers, diagnoses, periods
from .config_changes import changes, find_dumped_config, find_own_config, load_base, load_dumped_config
from .logs import WEIGHT, Curve, find_logs, part_names, read_curves, read_validations
from .report_figures import draw_evenness, draw_measured, draw_progress
from .run_names import distinct_names
from .text_log import read_text_logs
from .trajectories import draw_trajectories

# As mmdet's CocoMetric names the precision of a class, with classwise=True
OF_A_CLASS = re.compile(r'^.+/(?P<name>.+)_precision$')
LARGEST_PICTURE = 960  # pixels


class RunLogs(NamedTuple):
    """What is read of a run before anything is drawn."""

    work_dir: Path
    curves: Mapping[str, Curve]
    validations: Mapping[int, Mapping[str, float]]
    folders: Sequence[Path]  # TIMESTAMP of the training and of its resumed parts
    cfg: Optional[Config]
    config: Optional[Path]

    @classmethod
    def of(cls, work_dir: Path, config: Optional[Path]) -> 'RunLogs':
        curves = read_curves(work_dir)
        folders = [log.parents[1] for log in find_logs(work_dir)]  # TIMESTAMP/vis_data/scalars.json
        dumped = find_dumped_config(work_dir, folders[-1])
        cfg = load_dumped_config(dumped, folders[-1]) if dumped else None
        if config is None and dumped is not None:
            config = find_own_config(dumped.name)
        return cls(work_dir, curves, read_validations(work_dir), folders, cfg, config)


def write_report(work_dirs: Sequence[Path], out: Path, config: Optional[Path] = None, num_pictures: int = 12) -> None:
    """Writes the report of a run, or of several side by side.

    Args:
        work_dirs: of runs of mmengine's runner with ``LocalVisBackend``.
        out: HTML file to write.
        config: the config file of the runs, with whose ``_base_`` they are compared; ``None`` looks for a config of
            this package by its name. The work dir itself has only a copy without ``_base_``.
        num_pictures: largest number of pictures of each run.

    Raises:
        FileNotFoundError: a work dir has no log.
    """
    runs = dict(zip(distinct_names(work_dirs), (RunLogs.of(work_dir, config) for work_dir in work_dirs)))
    page = dict(
        title=', '.join(runs),
        together=_together(runs) if len(runs) > 1 else None,
        runs=[_run(name, run, num_pictures) for name, run in runs.items()],
    )
    environment = Environment(
        loader=PackageLoader('slf_mmdet', 'analysis'),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters['breakable'] = _breakable
    template = environment.get_template('report.html.jinja')
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(template.render(page), encoding='utf-8')


def _run(name: str, run: RunLogs, num_pictures: int) -> Dict[str, Any]:
    """What the page says of one run."""
    text_log = read_text_logs(run.folders)
    return dict(
        name=name,
        summary={**_summary(run.curves, run.validations), **text_log.environment},
        progress=_svg(draw_progress({name: (run.curves, run.validations)})),
        metrics=_metrics(run.validations),
        classes=_classes(run.validations) or [result._asdict() for result in text_log.classes],
        precision_recall=_precision_recall(run.folders),
        trajectories=_trajectories({'': run.curves}),
        measured=_svg(draw_measured(run.curves)),
        collapse=_collapse(run.cfg, run.curves),
        warnings=text_log.warnings,
        pictures=[
            dict(name=path.name, uri=_picture(path)) for path in find_pictures(run.work_dir, run.folders, num_pictures)
        ],
        base=run.config.name if run.config else None,
        changes=changes(load_base(run.config), run.cfg) if run.config and run.cfg else None,
        config=run.cfg.pretty_text if run.cfg else None,
    )


def _together(runs: Mapping[str, RunLogs]) -> Dict[str, Any]:
    """What the page says of several runs beside each other."""
    summaries = {name: _summary(run.curves, run.validations) for name, run in runs.items()}
    first, *others = runs.items()
    differences = {}
    for name, run in others:
        if first[1].cfg is not None and run.cfg is not None:
            differences[name] = [
                change for change in changes(first[1].cfg, run.cfg) if change.key not in ('work_dir', 'randomness.seed')
            ]
    return dict(
        keys=list(dict.fromkeys(key for summary in summaries.values() for key in summary)),
        summaries=summaries,
        progress=_svg(draw_progress({name: (run.curves, run.validations) for name, run in runs.items()})),
        trajectories=_trajectories({name: run.curves for name, run in runs.items()}),
        first=first[0],
        differences=differences,
    )


def find_pictures(work_dir: Path, folders: Sequence[Path], most: int) -> List[Path]:
    """Pictures of detections of a run, evenly chosen if there are more.

    Those that ``DetVisualizationHook`` draws, with ``draw=True``, and ``detections*.png`` or ``.jpg`` in the work dir,
    as ``tools/analysis_tools/draw_detections.py`` names them.

    Args:
        work_dir: of the run.
        folders: those of the run's logs, :func:`find_logs`; a test or an earlier run in the work dir has others.
        most: largest number of pictures.
    """
    found = [path for folder in folders for path in sorted(folder.glob('vis_data/vis_image/*'))]
    found += sorted(work_dir.glob('detections*'))
    figures = (precision_recall.PICTURE, weight_picture.PICTURE)  # of hooks
    found = [
        path for path in found if path.suffix.lower() in ('.png', '.jpg', '.jpeg') and not path.name.startswith(figures)
    ]
    chosen = np.linspace(0, len(found) - 1, min(most, len(found))).round().astype(int)
    return [found[i] for i in chosen]


def _breakable(key: str) -> Markup:
    """The key, which may wrap after / and _: the six columns of COCO fit the page."""
    return Markup(re.sub('([/_])', r'\1<wbr>', str(escape(key))))


def _summary(curves: Mapping[str, Curve], validations: Mapping[int, Mapping[str, float]]) -> Dict[str, str]:
    summary = {}
    if curves:
        summary['Iterations'] = str(max(curve.iters[-1] for curve in curves.values()))
    if 'epoch' in curves:
        summary['Epochs'] = f'{curves["epoch"].values[-1]:g}'
    if 'time' in curves:
        summary['Time per iteration'] = f'{1000 * np.median(curves["time"].values):.0f} ms (median)'
    if validations:
        key = main_metric(key for metrics in validations.values() for key in metrics) or ''
        values = [metrics[key] for metrics in validations.values() if key in metrics]
        summary[f'{key}, last'] = f'{values[-1]:.4f}'
        best, name = (min, 'smallest') if rule_of(key) == 'less' else (max, 'largest')
        summary[f'{key}, {name}'] = f'{best(values):.4f}'
    return summary


def _metrics(validations: Mapping[int, Mapping[str, float]]) -> Dict[str, Any]:
    """A row for each validation; ``best`` is the best value of each column."""
    keys = list(dict.fromkeys(key for metrics in validations.values() for key in metrics if not OF_A_CLASS.match(key)))
    columns = {key: [metrics[key] for metrics in validations.values() if key in metrics] for key in keys}
    best = {key: (min if rule_of(key) == 'less' else max)(values) for key, values in columns.items()}
    return dict(keys=keys, rows=validations, best=best)


def _classes(validations: Mapping[int, Mapping[str, float]]) -> List[Dict[str, Any]]:
    """Per class the metric of the last validation that has one, where the json log holds it."""
    for metrics in reversed(list(validations.values())):
        found = {match['name']: metrics[match.string] for match in map(OF_A_CLASS.match, metrics) if match}
        if found:
            return [dict(name=name, ap=ap, recall=None, objects=None) for name, ap in found.items()]
    return []


def _trajectories(runs: Mapping[str, Mapping[str, Curve]]) -> Optional[str]:
    """Of the runs that had a balancer."""
    balanced = {name: [curves] for name, curves in runs.items() if part_names(curves)}
    return _svg(draw_trajectories(balanced)) if balanced else None


def _precision_recall(folders: Sequence[Path]) -> Optional[str]:
    """Of the last evaluation whose curves ``PrecisionRecallHook`` wrote."""
    for folder in reversed(folders):
        path = folder / FILE
        if path.is_file():
            return _svg(draw_precision_recall(json.loads(path.read_text(encoding='utf-8'))['classes']))
    return None


def _collapse(cfg: Optional[Config], curves: Mapping[str, Curve]) -> Dict[str, Any]:
    """Diagnosis of each balancer, or why there is none; and the figure of the entropy of the weights."""
    found: Dict[str, Any] = dict(balancers=[], missing=None, figure=_svg(draw_evenness(curves)))
    if cfg is None:
        found['missing'] = 'The work dir holds no config, so the base weights are not known.'
        return found
    try:
        balancers = build_balancers(cfg)
    except Exception as error:  # whatever a model of another project needs
        found['missing'] = f'The model could not be built here, so its base weights are not known: {error}'
        return found
    for prefix, balancer in balancers.items():
        base = dict(zip(balancer.parts, balancer.base_weights.tolist()))
        keys = {key.format(part) for part in base for key in ('balance_{}', 'loss_{}')}
        if not keys <= set(curves):
            found['missing'] = f'The log has no {", ".join(sorted(keys - set(curves)))}.'
            continue
        history = diagnoses(base, curves)
        collapsed = periods(history)
        found['balancers'].append(
            dict(
                name=f'{type(balancer).__name__} {prefix.rstrip("_")}'.strip(),
                base=base,
                first={part: curves[f'{WEIGHT}{part}'].values[0] for part in base},
                last={part: curves[f'{WEIGHT}{part}'].values[-1] for part in base},
                parts=history[max(history)].parts,
                periods=collapsed,
                ongoing=bool(collapsed) and collapsed[-1].last == max(history),
                advice=balancer.collapse_advice() if collapsed else None,
            )
        )
    if not balancers:
        found['missing'] = 'The model has no balancer.'
    return found


def _svg(figure: Optional[Figure]) -> Optional[str]:
    if figure is None:
        return None
    file = io.BytesIO()
    figure.savefig(file, format='svg')
    return _uri('image/svg+xml', file.getvalue())


def _picture(path: Path) -> str:
    with Image.open(path) as image:
        small = image.convert('RGB')
    small.thumbnail((LARGEST_PICTURE, LARGEST_PICTURE))
    file = io.BytesIO()
    small.save(file, format='JPEG', quality=90)
    return _uri('image/jpeg', file.getvalue())


def _uri(kind: str, content: bytes) -> str:
    return f'data:{kind};base64,{base64.b64encode(content).decode()}'
