"""Hooks of a compared run: a common start, and a record of the run."""

import contextlib
import hashlib
import io
import json
import math
import time
from pathlib import Path
from typing import Any, Dict, List, Optional

import torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS  # not mmdet's: found from the scope of any library
from mmengine.runner import EpochBasedTrainLoop, Runner, set_random_seed
from torch import nn

from ..balancers import LossBalancer
from ..losses import CandidateMixture
from ..losses.base import ReducedLoss
from ..utils.files import whole_file, write_json
from ..utils.image_id import image_id
from ..utils.state import StepCounter, StepGenerator
from ..utils.wrapped import unwrapped

RECORD = 'comparison'  # key in a checkpoint
RESULT = 'result.json'
START = 'start.json'
PROGRESS = 'progress'
VALIDATIONS = 'validations.json'


@HOOKS.register_module()
class PairedStartHook(Hook):
    """Starts the runs of one seed from the same network and the same random state, whatever their loss.

    The first of them to start saves its initial network; the others load the entries that they have, by name and shape.
    What belongs to a loss is left out. Runs that do not wait for the file must not start together.

    Args:
        file: the initial network of this seed.
        seed: of the random state at the start of training.
    """

    priority = 'LOWEST'

    def __init__(self, file: str, seed: int) -> None:
        self.file = Path(file)
        self.seed = seed

    def before_train(self, runner: Runner) -> None:
        if runner.iter > 0:
            return
        ours = network_state(runner.model)
        if not self.file.exists():
            content = io.BytesIO()
            torch.save(ours, content)
            with whole_file(self.file) as partial:
                partial.write_bytes(content.getvalue())
        start = torch.load(self.file, map_location='cpu', weights_only=True)
        with torch.no_grad():
            for key, value in ours.items():
                if key in start and start[key].shape == value.shape:
                    value.copy_(start[key])
        set_random_seed(self.seed)


@HOOKS.register_module()
class RunRecordHook(Hook):
    """Records metrics, the initial network, the order of the images and the time of a run.

    What it has recorded is kept in the checkpoints, so a resumed run has the record of the whole training.

    Args:
        folder: of the run; its file ``progress`` has the number of iterations done.

    Attributes:
        metrics: of the last validation, or ``None`` if there was none in this process.
        validations: iteration -> metrics of every validation; those before a resume are read from the file
            ``validations.json`` of the folder. One that was due between the checkpoint and the kill is made up for,
            before the training goes on.
        fingerprint: hash of the images in their order; ``None`` where the images before a checkpoint are not known.
    """

    priority = 'LOWEST'

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)
        self.metrics: Optional[Dict[str, float]] = None
        self.validations: Dict[int, Dict[str, float]] = {}
        self.fingerprint: Optional[str] = ''
        self._loaded: Dict[str, Any] = {}
        self._seconds_before = 0.0
        self._start = time.monotonic()
        self._last_write = 0.0

    @property
    def seconds(self) -> float:
        """Since the beginning, without what was lost when a process ended and is repeated."""
        return self._seconds_before + time.monotonic() - self._start

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        checkpoint[RECORD] = dict(fingerprint=self.fingerprint, seconds=self.seconds)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        self._loaded = checkpoint.get(RECORD, {})

    def before_train(self, runner: Runner) -> None:
        if runner.iter == 0:
            write_json(self.folder / START, describe_network(runner.model))
        else:
            self.fingerprint = self._loaded.get('fingerprint')
            self._seconds_before = self._loaded.get('seconds', 0.0)
            self.validations = read_validations(self.folder, runner.iter)
            if is_validation_due(runner):
                self.metrics = self.validations.get(runner.iter)
                if self.metrics is None:  # the process before this one ended amid it; mmengine does not repeat it
                    runner.val_loop.run()

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Optional[dict] = None) -> None:
        batch = data_batch or {}
        for index, sample in enumerate(batch.get('data_samples', [])):
            name = image_id(sample.metainfo)
            if self.fingerprint is not None:
                content = _digest(batch['inputs'][index]) if name is None else name
                self.fingerprint = hashlib.sha256(f'{self.fingerprint} {content}'.encode()).hexdigest()

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Optional[dict] = None, outputs: Optional[dict] = None
    ) -> None:
        if time.monotonic() - self._last_write > 1:
            with contextlib.suppress(OSError):  # it is only shown
                (self.folder / PROGRESS).write_text(f'{runner.iter + 1} {runner.max_iters}', encoding='utf-8')
            self._last_write = time.monotonic()

    def after_val_epoch(self, runner: Runner, metrics: Optional[Dict[str, float]] = None) -> None:
        self.metrics = dict(metrics or {})
        self.validations[runner.iter] = self.metrics
        write_json(self.folder / VALIDATIONS, self.validations)


def is_validation_due(runner: Runner) -> bool:
    """Whether a training validates after the step that it has come to."""
    loop = runner.train_loop
    by_epoch = isinstance(loop, EpochBasedTrainLoop)
    done, last = (runner.epoch, runner.max_epochs) if by_epoch else (runner.iter, runner.max_iters)
    if runner.val_loop is None or done < loop.val_begin:
        return False
    return done == last or done % loop.val_interval == 0


def read_validations(folder: Path, until: float = math.inf) -> Dict[int, Dict[str, float]]:
    """Iteration -> metrics, up to an iteration; empty where no validation was recorded."""
    path = folder / VALIDATIONS
    if not path.is_file():
        return {}
    found = {int(key): value for key, value in json.loads(path.read_text(encoding='utf-8')).items()}
    return {key: value for key, value in found.items() if key <= until}


def network_state(model: nn.Module) -> Dict[str, torch.Tensor]:
    """Parameters and buffers of the model under the names of the plain detector, without what belongs to a loss.

    The latter are those of losses and balancers of this package, step counters and seeds, and those of modules with
    "loss" in the name: ``loss_cls``, ``loss_module``, ``aux_loss``.
    """
    model = unwrapped(model)
    losses = tuple(f'{name}.' for name, module in model.named_modules() if name and _belongs_to_loss(name, module))
    return {key: value for key, value in model.state_dict().items() if not key.startswith(losses)}


def describe_network(model: nn.Module) -> Dict[str, List[Any]]:
    """Name -> (number of values, hash of them) of each parameter and buffer of :func:`network_state`."""
    return {key: [value.numel(), _digest(value)] for key, value in network_state(model).items()}


def _belongs_to_loss(name: str, module: nn.Module) -> bool:
    own = name.rpartition('.')[2]
    named = own == 'loss' or own.startswith('loss_') or own.endswith('_loss')
    return named or isinstance(module, (LossBalancer, ReducedLoss, CandidateMixture, StepCounter, StepGenerator))


def _digest(value: torch.Tensor) -> str:
    content = value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()
    return hashlib.sha256(content).hexdigest()[:16]
