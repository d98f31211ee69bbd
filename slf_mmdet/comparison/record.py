"""Hooks of a compared run: a common start, and a record of what was measured."""

import hashlib
import os
import time
from pathlib import Path
from typing import Any, Dict, Optional

import torch
from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner, set_random_seed
from torch import nn

from ..balancers import LossBalancer
from ..models.detectors import BalancedDetector

RESULT = 'result.json'
PROGRESS = 'progress'


@HOOKS.register_module()
class PairedStartHook(Hook):
    """Starts the runs of one seed from the same network and the same random state, whatever balances their loss.

    The first of them to start saves its initial network, the others load it; a balancer's own parameters are left out.

    Args:
        file: the initial network of this seed.
        seed: of the random state in which training begins.
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
            partial = self.file.with_name(f'{self.file.name}.{os.getpid()}')
            torch.save(ours, partial)
            try:
                os.link(partial, self.file)  # fails where another run was faster: then that one counts
            except FileExistsError:
                pass
            finally:
                partial.unlink()
        start = torch.load(self.file, map_location='cpu', weights_only=True)
        if set(start) != set(ours):
            raise ValueError(
                f'{self.file} was written by another network: keys {sorted(set(start) ^ set(ours))[:5]} differ. '
                'Compare columns of one config only, or use another --work-dir.'
            )
        with torch.no_grad():
            for key, value in ours.items():
                value.copy_(start[key])
        set_random_seed(self.seed)


@HOOKS.register_module()
class CellRecordHook(Hook):
    """Keeps what a comparison needs to know of a run: metrics, time per iteration, what the run was fed.

    Args:
        folder: of the cell; ``progress`` in it says how far the run is.
    """

    priority = 'LOWEST'

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)
        self.metrics: Dict[str, float] = {}
        self.fingerprint = hashlib.sha256()
        self._told = 0.0

    def before_train(self, runner: Runner) -> None:
        self.first = runner.iter
        if self.first == 0:
            for key, value in sorted(network_state(runner.model).items()):
                self.fingerprint.update(key.encode() + value.cpu().numpy().tobytes())

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Optional[dict] = None) -> None:
        for sample in (data_batch or {}).get('data_samples', []):
            self.fingerprint.update(str(sample.metainfo.get('img_path', sample.metainfo.get('img_id'))).encode())

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Optional[dict] = None, outputs: Optional[dict] = None
    ) -> None:
        if time.monotonic() - self._told > 1:
            (self.folder / PROGRESS).write_text(f'{runner.iter + 1} {runner.max_iters}', encoding='utf-8')
            self._told = time.monotonic()

    def after_val_epoch(self, runner: Runner, metrics: Optional[Dict[str, float]] = None) -> None:
        self.metrics = dict(metrics or {})


def unwrap(model: Any) -> nn.Module:
    return model.module if is_model_wrapper(model) else model


def network_state(model: nn.Module) -> Dict[str, torch.Tensor]:
    """Parameters and buffers of the model without those of its balancers, in the names of the plain detector."""
    model = unwrap(model)
    if isinstance(model, BalancedDetector):
        model = model.detector
    balancers = [f'{name}.' for name, module in model.named_modules() if isinstance(module, LossBalancer)]
    return {key: value for key, value in model.state_dict().items() if not key.startswith(tuple(balancers))}
