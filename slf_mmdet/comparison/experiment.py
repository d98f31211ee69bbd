"""The runs of a comparison, and starting those that are still missing."""

import itertools
from pathlib import Path
from typing import List, Optional, Sequence

from mmengine.config import Config
from rich.console import Console

from ..utils.files import remove_partial, write_text, writing
from .arms import Arm, check_distinct
from .balancer_arms import check_balancers
from .engines import Engine, LocalEngine
from .lock import locked
from .parts import check_parts
from .planned_run import Run, first_ready
from .run_pool import RunPool


class Experiment:
    """Arms x seeds of one config.

    Args:
        cfg: the config, with all options merged.
        arms: the first one is what the others are compared with.
        seeds: each arm is run with each of them.
        work_dir: of the comparison; each run has a folder in it.

    Raises:
        ValueError: two arms have one name, an arm cannot be applied to the config, a balancer has no such setting, or
            its parts do not match the losses of the detector.
    """

    def __init__(self, cfg: Config, arms: Sequence[Arm], seeds: Sequence[int], work_dir: Path) -> None:
        check_distinct(arms)
        for arm in arms:
            applied = arm.apply(cfg)
            check_balancers(applied, arm.label)
            check_parts(applied, arm.label)
        self.cfg = cfg
        self.work_dir = work_dir.absolute()
        self.arms = list(arms)
        self.seeds = list(seeds)
        self.runs = [
            Run(arm, seed, self.work_dir / arm.folder / f'seed_{seed}')
            for seed, arm in itertools.product(self.seeds, self.arms)
        ]

    def _config(self, run: Run) -> str:
        cfg = run.arm.apply(self.cfg)
        cfg.work_dir = str(run.folder)
        cfg.randomness = dict(cfg.get('randomness') or {}, seed=run.seed)
        cfg.custom_hooks = [
            *(cfg.get('custom_hooks') or []),
            *([] if _has_hook(cfg, 'RandomStateHook') else [dict(type='mmdet.RandomStateHook')]),
            dict(type='PairedStartHook', file=str(run.start_file), seed=run.seed),
            dict(type='RunRecordHook', folder=str(run.folder)),
        ]
        return cfg.pretty_text

    def prepare(self) -> List[Run]:
        """Writes the configs of the runs; returns those that have no result yet.

        Raises:
            ValueError: the work dir holds a run of the same name with other settings.
        """
        configs = {run: self._config(run) for run in self.runs}
        for run, text in configs.items():
            path = run.folder / 'config.py'
            if path.is_file() and path.read_text(encoding='utf-8') != text:
                raise ValueError(
                    f'{path} has other settings than this comparison. Use another --work-dir, or delete the folder '
                    f'{run.folder} to start this run again.'
                )
        for run, text in configs.items():
            with writing(run.folder):
                run.folder.mkdir(parents=True, exist_ok=True)
            write_text(run.folder / 'config.py', text)
        return [run for run in self.runs if run.result() is None]

    def run(self, engine: Optional[Engine] = None, console: Optional[Console] = None) -> List[Run]:
        """Starts the runs that have no result yet.

        A run that fails is reported and the others go on; an interruption ends all of them, and the next call continues
        where they stopped.

        Args:
            engine: where they are computed; by default one after the other on this machine.
            console: for the progress.

        Returns:
            The runs that failed.

        Raises:
            BusyError: another process runs a comparison in the work dir.
            OSError: the work dir cannot be written.
        """
        with locked(self.work_dir):
            for folder in (self.work_dir, *(run.folder for run in self.runs)):
                remove_partial(folder)
            return self._run(self.prepare(), engine or LocalEngine(), console or Console())

    def _run(self, waiting: List[Run], engine: Engine, console: Console) -> List[Run]:
        failed: List[Run] = []
        with RunPool(engine, console, len(self.runs), len(self.runs) - len(waiting)) as pool:
            while waiting or pool.running:
                while pool.has_room and (ready := first_ready(waiting, pool.running)) is not None:
                    waiting.remove(ready)
                    pool.start(ready)
                failed += [run for run in pool.ended() if run.result() is None]
        return failed


def _has_hook(cfg: Config, name: str) -> bool:
    hooks = [*(cfg.get('default_hooks') or {}).values(), *(cfg.get('custom_hooks') or [])]
    kinds = [hook.get('type') if isinstance(hook, dict) else type(hook) for hook in hooks]
    return name in [getattr(kind, '__name__', str(kind).rpartition('.')[2]) for kind in kinds]
