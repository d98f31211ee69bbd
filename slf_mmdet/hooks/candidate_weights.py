"""Logs the weights of candidate losses."""

from typing import Optional

from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.hooks.hook import DATA_BATCH
from mmengine.runner import Runner

from ..losses import CandidateMixture
from ..utils.wrapped import unwrapped


@HOOKS.register_module()
class CandidateWeightsHook(Hook):
    """Logs ``balance_<candidate>`` of every ``StochasticLoss`` and ``PaperStochasticLoss`` to mmengine's backends.

    The value is the mean weight over the samples of the iteration. With several such losses, the name of the submodule
    is inserted: ``balance_<module>_<candidate>``.
    """

    priority = 'NORMAL'  # before LoggerHook, which reads the message hub

    def before_train(self, runner: Runner) -> None:
        model = unwrapped(runner.model)
        found = {name: module for name, module in model.named_modules() if isinstance(module, CandidateMixture)}
        self._losses = {
            f'train/balance_{name}_' if len(found) > 1 else 'train/balance_': module for name, module in found.items()
        }

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: DATA_BATCH = None, outputs: Optional[dict] = None
    ) -> None:
        for prefix, loss in self._losses.items():
            for name, value in loss.mean_weights().items():
                runner.message_hub.update_scalar(prefix + name, value)
