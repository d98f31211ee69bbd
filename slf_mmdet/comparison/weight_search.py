"""Static weights tuned by Optuna: what hand-tuning would reach, with a budget that is known."""

import csv
import hashlib
import json
import math
import statistics
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, List, Mapping, Optional, Sequence

import matplotlib

matplotlib.use('Agg')
import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from mmengine.config import Config
from rich.console import Console

from ..utils.files import remove_partial, whole_file
from ..utils.metrics import main_metric
from ..utils.optional import needs
from .balancer_arms import BalancerArm
from .engines import Engine
from .experiment import Experiment
from .lock import locked
from .planned_run import Run, first_ready
from .record import read_validations
from .run_pool import RunPool

FACTOR = 8.0  # the largest of a weight over its base weight, and the inverse of the smallest
STUDY = 'study.db'
TABLE = 'trials.csv'
PICTURE = 'trials.png'
SETTINGS = 'settings'  # attribute of a study
NAME = 'name'  # attribute of a trial: that of its arm, which stays when the trial is taken up again


@dataclass
class _Trial:
    trial: Any
    runs: List[Run]
    reported: int = 0  # validations


class WeightSearch:
    """Searches static weights, each within a factor of 8 of its base weight, by the validation metric.

    The tree-structured Parzen estimator of Optuna (Akiba et al., KDD 2019) proposes weights; the first trial has the
    base weights. A trial whose best validation so far is below the median that the trials before had at the same
    iteration is pruned. The study is a file of the work dir: a search that was interrupted goes on where it stopped,
    and more trials may be added later.

    Args:
        cfg: the config, with all options merged.
        weights: part -> base weight, > 0.
        trials: how many weights are tried, the base weights included.
        seeds: each trial is run with each of them; its value is their mean.
        work_dir: of the search.
        metric: key of the evaluator's metrics; ``None`` takes the first key that ends with mAP, or the first one.
        rule: ``'greater'`` or ``'less'``, which of two values is better.
        settings: of each balancer, ``parts`` for instance.

    Raises:
        ModuleNotFoundError: Optuna is not installed.
        ValueError: ``trials`` is below 1, or a base weight is 0.
    """

    def __init__(
        self,
        cfg: Config,
        weights: Mapping[str, float],
        trials: int,
        seeds: Sequence[int],
        work_dir: Path,
        metric: Optional[str] = None,
        rule: str = 'greater',
        **settings: Any,
    ) -> None:
        if trials < 1:
            raise ValueError(f'--trials must be >= 1, found {trials}.')
        zero = [name for name, weight in weights.items() if not weight > 0]
        if zero:
            raise ValueError(f'--weights search multiplies base weights: those of {zero} must be > 0, found 0.')
        with needs('--weights search', 'optuna', 'search'):
            import optuna
        self._optuna = optuna
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.cfg = cfg
        self.weights = dict(weights)
        self.trials = trials
        self.seeds = list(seeds)
        self.work_dir = work_dir.absolute()
        self.metric = metric
        self.settings = settings
        self.work_dir.mkdir(parents=True, exist_ok=True)
        self.study = optuna.create_study(
            storage=f'sqlite:///{self.work_dir / STUDY}',
            study_name='weights',
            load_if_exists=True,
            direction='maximize' if rule == 'greater' else 'minimize',
            pruner=optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=1),
        )
        self._check_same(rule)
        # A generator that began again with the seed before would propose the first weights once more
        self.study.sampler = optuna.samplers.TPESampler(
            seed=len(self.study.trials), multivariate=True, constant_liar=True
        )

    def _check_same(self, rule: str) -> None:
        """Refuses a study of the work dir that had other settings, whose trials say nothing here."""
        ours = dict(
            config=hashlib.sha256(self.cfg.pretty_text.encode()).hexdigest(),
            weights=self.weights,
            seeds=self.seeds,
            metric=self.metric,
            rule=rule,
            settings=self.settings,
        )
        ours = json.loads(json.dumps(ours))
        theirs = self.study.user_attrs.get(SETTINGS)
        if theirs is None:
            self.study.set_user_attr(SETTINGS, ours)
        elif theirs != ours:
            differ = [
                f'{key} {theirs.get(key)!r} instead of {ours[key]!r}' for key in ours if theirs.get(key) != ours[key]
            ]
            raise ValueError(
                f'{self.work_dir / STUDY} is a search with other settings: {"; ".join(differ)}. Use another '
                f'--work-dir, or delete the folder {self.work_dir} to search again.'
            )

    @property
    def tried(self) -> int:
        """Trials that are finished, pruned, or failed."""
        return sum(trial.state.is_finished() for trial in self._trials())

    def run(self, engine: Engine, console: Console) -> None:
        """Tries weights until the number of trials is reached.

        Args:
            engine: where the runs are computed.
            console: for the progress.

        Raises:
            BusyError: another process works in the work dir.
            OSError: the work dir cannot be written.
        """
        with locked(self.work_dir):
            remove_partial(self.work_dir)
            self._take_up()
            total, done = self.trials * len(self.seeds), min(self.tried, self.trials) * len(self.seeds)
            with RunPool(engine, console, total, done) as pool:
                self._run(pool)

    def best(self) -> BalancerArm:
        """The best weights.

        Raises:
            ValueError: the search is not finished, or no trial has a value.
        """
        if self.tried < self.trials:
            found = f'{self.tried} of {self.trials} trials are finished'
            raise ValueError(f'{self.work_dir}: {found}, run the search first.')
        complete = self.study.get_trials(deepcopy=False, states=(self._optuna.trial.TrialState.COMPLETE,))
        if not complete:
            raise ValueError(f'{self.work_dir}: no trial has a finite value; look at the logs of its runs.')
        best = self.study.best_trial
        return self._arm(best.user_attrs[NAME], best.params)

    def save(self) -> List[Path]:
        """Writes the trials as a csv file and a picture; returns their paths."""
        table, picture = self.work_dir / TABLE, self.work_dir / PICTURE
        with whole_file(table) as partial, open(partial, 'w', newline='', encoding='utf-8') as file:
            writer = csv.writer(file)
            writer.writerow(['trial', 'state', 'value', *self.weights])
            for trial in self._trials():
                weights = [trial.params.get(name) for name in self.weights]
                writer.writerow([trial.user_attrs[NAME], trial.state.name.lower(), trial.value, *weights])
        figure = self._draw()
        with whole_file(picture) as partial:
            figure.savefig(partial, format='png', dpi=120)
        plt.close(figure)
        return [table, picture]

    def _take_up(self) -> None:
        """Begins again the trials that a process before this one left unfinished: their runs resume."""
        states = self._optuna.trial.TrialState
        known = self.study.get_trials(deepcopy=False)
        for trial in known:
            if trial.state == states.RUNNING:
                # Enqueued first: a process that is killed in between loses no trial. One that was killed before it drew
                # all weights has none to repeat
                if NAME in trial.user_attrs:
                    self.study.enqueue_trial(trial.params, user_attrs={NAME: trial.user_attrs[NAME]})
                self.study.tell(trial.number, state=states.FAIL)
        if not any(NAME in trial.user_attrs or trial.state == states.WAITING for trial in known):
            self.study.enqueue_trial(self.weights)

    def _run(self, pool: RunPool) -> None:
        open_trials: List[_Trial] = []
        waiting: List[Run] = []
        while True:
            while pool.has_room:
                ready = first_ready(waiting, pool.running)
                if ready is not None:
                    waiting.remove(ready)
                    pool.start(ready)
                elif not waiting and self.tried + len(open_trials) < self.trials:
                    open_trials.append(self._ask())
                    waiting += [run for run in open_trials[-1].runs if run.result() is None]
                else:
                    break
            if not open_trials:
                return
            failed = [run for run in pool.ended() if run.result() is None] if pool.running else []
            for one in list(open_trials):
                if self._told(one, failed):
                    open_trials.remove(one)
                    for run in one.runs:
                        if run in waiting:
                            waiting.remove(run)
                        elif run in pool.running:
                            pool.stop(run)

    def _ask(self) -> _Trial:
        """The next trial, with its runs prepared."""
        trial = self.study.ask()
        weights = {
            name: trial.suggest_float(name, weight / FACTOR, weight * FACTOR, log=True)
            for name, weight in self.weights.items()
        }
        name = trial.user_attrs.get(NAME, f'trial {trial.number}')
        trial.set_user_attr(NAME, name)
        experiment = Experiment(self.cfg, [self._arm(name, weights)], self.seeds, self.work_dir)
        experiment.prepare()
        return _Trial(trial, experiment.runs)

    def _told(self, one: _Trial, failed: Sequence[Run]) -> bool:
        """Tells the study of a trial that has ended or is pruned; whether it is one of these."""
        states = self._optuna.trial.TrialState
        if any(run in failed for run in one.runs):
            self.study.tell(one.trial, state=states.FAIL)
            return True
        results = [run.result() for run in one.runs]
        finished = [result['val'] for result in results if result is not None]
        if len(finished) == len(one.runs):
            value = self._mean(finished)
            self.study.tell(one.trial, value, state=states.FAIL if value is None else states.COMPLETE)
            return True
        if self._report(one) and one.trial.should_prune():
            self.study.tell(one.trial, state=states.PRUNED)
            return True
        return False

    def _report(self, one: _Trial) -> bool:
        """Reports the validations that all runs of a trial have had since; whether there are any."""
        curves = [read_validations(run.folder) for run in one.runs]
        steps = sorted(set(curves[0]).intersection(*curves[1:]))
        new = steps[one.reported :]
        for number, step in enumerate(new, one.reported + 1):
            value = self._mean([curve[step] for curve in curves])
            if value is not None:
                one.trial.report(value, number)
            one.reported = number
        return bool(new)

    def _mean(self, found: Sequence[Mapping[str, float]]) -> Optional[float]:
        """The mean of the metric; ``None`` where it is not finite."""
        if self.metric is None:
            self.metric = main_metric(found[0])
        if any(self.metric not in metrics for metrics in found):
            raise ValueError(f'metric {self.metric!r} was not measured; there are {list(found[0])}.')
        value = statistics.fmean(metrics[str(self.metric)] for metrics in found)
        return value if math.isfinite(value) else None

    def _arm(self, name: str, weights: Mapping[str, float]) -> BalancerArm:
        return BalancerArm(name, dict(type='StaticBalancer', base_weights=dict(weights), **self.settings))

    def _trials(self) -> List[Any]:
        """Those that were begun; of one that was taken up again, the latter."""
        found = self.study.get_trials(deepcopy=False)
        return list({trial.user_attrs[NAME]: trial for trial in found if NAME in trial.user_attrs}.values())

    def _draw(self) -> Figure:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', self._optuna.exceptions.ExperimentalWarning)
            axes = self._optuna.visualization.matplotlib.plot_optimization_history(self.study)
        axes.set(title='Search of static weights', xlabel='trial', ylabel=self.metric or 'value')
        assert isinstance(axes.figure, Figure)
        return axes.figure
