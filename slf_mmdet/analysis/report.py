"""The report of a run: one self-contained HTML file."""

import base64
import io
import re
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from matplotlib.figure import Figure
from mmengine.config import Config
from PIL import Image

from .collapse_history import build_balancers, diagnoses, periods
from .config_changes import changes, find_dumped_config, find_own_config, load_base, load_dumped_config
from .logs import WEIGHT, Curve, find_logs, part_names, read_curves, read_validations
from .text_log import read_text_logs
from .trajectories import draw_trajectories

# As mmdet's CocoMetric names the precision of a class, with classwise=True
OF_A_CLASS = re.compile(r'^.+/(?P<name>.+)_precision$')
LARGEST_PICTURE = 960  # pixels


def write_report(work_dir: Path, out: Path, config: Optional[Path] = None, num_pictures: int = 12) -> None:
    """Writes the report of a run.

    Args:
        work_dir: of a run of mmengine's runner with ``LocalVisBackend``.
        out: HTML file to write.
        config: the config file of the run, with whose ``_base_`` it is compared; ``None`` looks for a config of this
            package by its name. The work dir itself has only a copy without ``_base_``.
        num_pictures: largest number of pictures.

    Raises:
        FileNotFoundError: the work dir has no log.
    """
    curves = read_curves(work_dir)
    folders = [log.parents[1] for log in find_logs(work_dir)]  # TIMESTAMP/vis_data/scalars.json
    text_log = read_text_logs(folders)
    validations = read_validations(work_dir)
    dumped = find_dumped_config(work_dir, folders[-1])
    run_cfg = load_dumped_config(dumped, folders[-1]) if dumped else None
    if config is None and dumped is not None:
        config = find_own_config(dumped.name)
    page = dict(
        name=work_dir.resolve().name,
        summary={**_summary(curves, validations), **text_log.environment},
        metrics=_metrics(validations),
        classes=_classes(validations) or [result._asdict() for result in text_log.classes],
        trajectories=_trajectories(curves),
        collapse=_collapse(run_cfg, curves),
        warnings=text_log.warnings,
        pictures=[dict(name=path.name, uri=_picture(path)) for path in find_pictures(work_dir, folders, num_pictures)],
        base=config.name if config else None,
        changes=changes(load_base(config), run_cfg) if config and run_cfg else None,
        config=run_cfg.pretty_text if run_cfg else None,
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
    found = [path for path in found if path.suffix.lower() in ('.png', '.jpg', '.jpeg')]
    chosen = np.linspace(0, len(found) - 1, min(most, len(found))).round().astype(int)
    return [found[i] for i in chosen]


def _breakable(key: str) -> Markup:
    """The key, which may wrap after / and _: the six columns of COCO fit the page."""
    return Markup(re.sub('([/_])', r'\1<wbr>', str(escape(key))))


def _summary(curves: Mapping[str, Curve], validations: Mapping[int, Mapping[str, float]]) -> Dict[str, str]:
    summary = {}
    if 'loss' in curves:
        summary['Iterations'] = str(curves['loss'].iters[-1])
    if 'epoch' in curves:
        summary['Epochs'] = f'{curves["epoch"].values[-1]:g}'
    if 'time' in curves:
        summary['Time per iteration'] = f'{1000 * np.median(curves["time"].values):.0f} ms (median)'
    if validations:
        metrics = next(reversed(list(validations.values())))
        key = next((key for key in metrics if key.endswith('mAP')), next(iter(metrics)))
        summary[f'{key}, last'] = f'{metrics[key]:.4f}'
    return summary


def _metrics(validations: Mapping[int, Mapping[str, float]]) -> Dict[str, Any]:
    """A row for each validation; ``best`` is the largest value of each column."""
    keys = list(dict.fromkeys(key for metrics in validations.values() for key in metrics if not OF_A_CLASS.match(key)))
    return dict(
        keys=keys,
        rows=validations,
        best={key: max(metrics[key] for metrics in validations.values() if key in metrics) for key in keys},
    )


def _classes(validations: Mapping[int, Mapping[str, float]]) -> List[Dict[str, Any]]:
    """Per class the metric of the last validation that has one, where the json log holds it."""
    for metrics in reversed(list(validations.values())):
        found = {match['name']: metrics[match.string] for match in map(OF_A_CLASS.match, metrics) if match}
        if found:
            return [dict(name=name, ap=ap, recall=None, objects=None) for name, ap in found.items()]
    return []


def _trajectories(curves: Mapping[str, Curve]) -> Optional[str]:
    return _svg(draw_trajectories({'': [curves]})) if part_names(curves) else None


def _collapse(cfg: Optional[Config], curves: Mapping[str, Curve]) -> Dict[str, Any]:
    """Diagnosis of each balancer, or why there is none; and the figure of the entropy of the weights."""
    found: Dict[str, Any] = dict(balancers=[], missing=None, figure=_evenness(curves))
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
        starved = periods(history)
        found['balancers'].append(
            dict(
                name=f'{type(balancer).__name__} {prefix.rstrip("_")}'.strip(),
                base=base,
                first={part: curves[f'{WEIGHT}{part}'].values[0] for part in base},
                last={part: curves[f'{WEIGHT}{part}'].values[-1] for part in base},
                parts=history[max(history)].parts,
                periods=starved,
                ongoing=bool(starved) and starved[-1].last == max(history),
                advice=balancer.collapse_advice() if starved else None,
            )
        )
    if not balancers:
        found['missing'] = 'The model has no balancer.'
    return found


def _evenness(curves: Mapping[str, Curve]) -> Optional[str]:
    """Entropy of the weights and shares of the objective, as ``BalanceMonitorHook`` logged them."""
    together = {
        'entropy of the weights': 'weights_entropy',
        'steps in which the smallest\npart has the largest weight': 'weights_smallest_first',
    }
    shares = [key for key in curves if key.startswith('share_')]
    if not shares or not all(key in curves for key in together.values()):
        return None
    figure = Figure(figsize=(8.5, 4), layout='constrained')
    upper, lower = figure.subplots(2, 1, sharex=True)
    for label, key in together.items():
        upper.plot(*curves[key], label=label)
    upper.set(ylim=(-0.05, 1.05), ylabel='fraction')
    lower.stackplot(curves[shares[0]].iters, *(curves[key].values for key in shares), labels=[k[6:] for k in shares])
    lower.set(ylim=(0, 1), ylabel='share of\nthe objective', xlabel='iteration')
    for axes in (upper, lower):
        axes.legend(loc='upper left', bbox_to_anchor=(1, 1))
        axes.grid(alpha=0.3)
    return _svg(figure)


def _svg(figure: Figure) -> str:
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
