"""What ``slf-mmdet probe`` does with its arguments."""

import argparse
import dataclasses
import json
import shlex
from pathlib import Path
from typing import Any, Dict, List, Optional

import numpy as np
from mmengine.config import Config
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ..comparison import BalancerArm, parse_parts, with_parts
from .measure import Measurement, measure
from .picture import draw
from .verdict import Outcome, Verdict, judge


def probe(args: argparse.Namespace, options: Dict[str, Any]) -> Verdict:
    """Measures, prints a table and the verdict, and writes ``probe.json`` and ``probe.png``.

    Args:
        args: of the command.
        options: changes to the config.
    """
    cfg = Config.fromfile(args.config)
    cfg.merge_from_dict(options)
    arms: List[Any] = [BalancerArm('static', dict(type='StaticBalancer'))]
    if args.parts is not None:
        arms = with_parts(arms, parse_parts(args.parts), cfg)
    cfg.setdefault('randomness', dict(seed=0))
    found = measure(cfg, arms[0], args.checkpoint, args.iters, args.batches)
    verdict = judge(found)
    console = Console()
    show(found, verdict, args, console)
    out = Path(args.out or Path('work_dirs') / 'probe' / Path(args.config).stem)
    out.mkdir(parents=True, exist_ok=True)
    values = {
        key: value.tolist() if isinstance(value, np.ndarray) else value
        for key, value in dataclasses.asdict(found).items()
    }
    result = dict(values, cost=found.cost, moved=found.moved, verdict=verdict.outcome.value, text=verdict.text)
    (out / 'probe.json').write_text(json.dumps(result, indent=2) + '\n', encoding='utf-8')
    draw(found, Path(args.config).stem).savefig(out / 'probe.png', dpi=120)
    console.print(f'Written: {out / "probe.json"} {out / "probe.png"}', soft_wrap=True, highlight=False, markup=False)
    return verdict


def show(found: Measurement, verdict: Verdict, args: argparse.Namespace, console: Console) -> None:
    """Prints the table, what it says, and the command that comes next."""
    console.print(table(found))
    console.print(summary(found), highlight=False, markup=False)
    console.print(verdict.text, style='bold', highlight=False, markup=False)
    if verdict.outcome is Outcome.WORTH_COMPARING:
        console.print(compare_command(args), soft_wrap=True, highlight=False, markup=False)


def table(found: Measurement) -> Table:
    """One row for each part."""
    shown = Table(title=f'{found.batches} batches after {found.iterations} iterations of training')
    for name in ('part', 'loss', 'gradient norm', 'AP lost', 'weight', 'SLF would take'):
        shown.add_column(name, justify='left' if name == 'part' else 'right')
    for i, part in enumerate(found.parts):
        lost = '' if found.ap_lost is None else f'{found.ap_lost[i]:.3f} ± {found.ap_lost_error[i]:.3f}'  # type: ignore[index]
        shown.add_row(
            escape(part),
            f'{found.losses[i]:.4g}',
            _number(found.gradient_norms, i),
            lost,
            f'{found.base_weights[i]:g}',
            _number(found.slf_weights, i, 3),
        )
    return shown


def summary(found: Measurement) -> str:
    """Lines about the whole: detections, conflicts of gradients, cost, and what could not be measured."""
    lines = []
    if found.precision is not None:
        lines.append(f'Soft average precision of a batch: {found.precision:.3f}.')
    if found.cosines is not None and len(found.parts) > 1:
        upper = np.where(np.triu(np.ones_like(found.cosines), 1) > 0, found.cosines, np.inf)
        first, second = np.unravel_index(np.argmin(upper), upper.shape)
        lines.append(
            f'Smallest cosine of two gradients: {upper[first, second]:.2f}, {found.parts[first]} and '
            f'{found.parts[second]}.'
        )
    elif 'gradients' in found.problems:
        lines.append(f'Gradients were not measured: {found.problems["gradients"]}')
    if found.cost is not None and found.measuring_seconds is not None:
        lines.append(
            f'An iteration takes {found.step_seconds:.3f} s, one in which SLF measures '
            f'{1 + found.measuring_seconds / found.step_seconds:.2f} times that; the whole run about '
            f'{found.cost:.2f} times its time without SLF.'
        )
    return '\n'.join(lines)


def compare_command(args: argparse.Namespace) -> str:
    """The comparison that the verdict asks for."""
    words = ['slf-mmdet', 'compare', args.config, '--balancers', 'static', 'slf', '--seeds', *map(str, range(5))]
    if args.parts is not None:
        words += ['--parts', *args.parts]
    if args.cfg_options:
        words += ['--cfg-options', *args.cfg_options]
    return shlex.join(words)


def _number(values: Optional[np.ndarray], index: int, digits: int = 4) -> str:
    return '' if values is None else f'{values[index]:.{digits}g}'
