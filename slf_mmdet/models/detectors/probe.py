"""Finds the losses of a detector without data, by computing the loss of random images."""

import copy
import itertools
import random
import warnings
from contextlib import contextmanager
from typing import Any, Iterator, List, NamedTuple, Optional, Tuple

import numpy as np
import torch
from mmdet.registry import MODELS
from mmengine.logging import MessageHub
from torch import Tensor, nn

from .random_batch import random_batch as _batch

# The first that the detector accepts is used: SSD needs 300 px, YOLOv1 448 px
SIZES = (128, 320, 448, 512)


class Probe(NamedTuple):
    """Result of :func:`probe_detector`.

    Attributes:
        loss_keys: keys that mmengine would add to the objective, in the detector's order.
        feature_dim: width of the submodule's output, or ``None`` if no submodule was given.
    """

    loss_keys: Tuple[str, ...]
    feature_dim: Optional[int]


def probe_detector(cfg: dict, features: Optional[str] = None) -> Probe:
    """Builds a copy of the detector on the CPU, and computes the loss of two images with one object each.

    The states of all random generators are restored. Losses that depend on the data or start late in training are not
    found.

    Args:
        cfg: config of the detector.
        features: name of a submodule, whose output is measured.

    Raises:
        RuntimeError: the detector raises an error for such images, which ends the message.
        AttributeError: it has no such submodule.
    """
    with _isolated_random_state():
        detector = MODELS.build(copy.deepcopy(cfg)).train()
        for parameter in detector.parameters():  # some are uninitialised memory until init_weights
            nn.init.normal_(parameter, std=0.01)
        error: Optional[Exception] = None
        with record_output(detector, features) as outputs:
            for size, with_masks in itertools.product(SIZES, (True, False)):
                inputs, samples = _batch(size, with_masks)
                try:
                    losses = detector(inputs, samples, mode='loss')
                    keys = tuple(key for key in losses if 'loss' in key)
                    return Probe(keys, pooled(outputs[-1]).shape[1] if outputs else None)
                except Exception as latest:
                    error = latest
    raise RuntimeError(f'{cfg.get("type")} cannot compute the loss of random images of {SIZES} px: {error}') from error


@contextmanager
def record_output(model: nn.Module, name: Optional[str]) -> Iterator[List[Any]]:
    """Collects the outputs of the submodule ``name``.

    Raises:
        AttributeError: there is no such submodule; the message lists the children.
    """
    outputs: List[Any] = []
    if name is None:
        yield outputs
        return
    try:
        module = model.get_submodule(name)
    except AttributeError:
        children = [child for child, _ in model.named_children()]
        raise AttributeError(
            f'{type(model).__name__} has no submodule {name!r}; its children are {children}.'
        ) from None
    handle = module.register_forward_hook(lambda module, args, output: outputs.append(output))
    try:
        yield outputs
    finally:
        handle.remove()


def pooled(output: Any) -> Tensor:
    """One vector per image from a module's output, with its graph.

    Args:
        output: ``(N, C, H, W)``, ``(N, tokens, C)`` or ``(N, C)``, or a list of those, of which the last is used.

    Returns:
        ``(N, C)``, the mean over positions or tokens.

    Raises:
        TypeError: it is something else.
    """
    while isinstance(output, (list, tuple)) and output:
        output = output[-1]
    if not isinstance(output, Tensor) or output.dim() not in (2, 3, 4):
        found = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise TypeError(f'features must be (N, C, H, W), (N, tokens, C) or (N, C), or a list of those; found {found}.')
    if output.dim() == 4:
        return output.mean((2, 3))
    return output.mean(1) if output.dim() == 3 else output


@contextmanager
def _isolated_random_state() -> Iterator[None]:
    python, numpy = random.getstate(), np.random.get_state()
    hub = MessageHub.get_current_instance()
    epoch = hub.get_info('epoch')
    hub.update_info('epoch', 0)  # TOOD's loss depends on it
    try:
        with torch.random.fork_rng(devices=[]), torch.device('cpu'), torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter('ignore')
            torch.manual_seed(0)
            np.random.seed(0)
            random.seed(0)
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        hub.pop_info('epoch')
        if epoch is not None:
            hub.update_info('epoch', epoch)
