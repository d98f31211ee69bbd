"""Stops a training at the first loss or gradient that is not finite, or skips that step."""

import functools
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional

import torch
from mmdet.registry import HOOKS
from mmengine import dist
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.runner import Runner
from torch import Tensor, nn

from ..balancers import LossBalancer
from ..utils.checks import is_count, require
from ..utils.image_id import image_id
from ..utils.state import LateTensor
from ..utils.wrapped import unwrapped

POLICIES = ('raise', 'skip')
SKIPPED = 'skipped_steps'
_MAX_LISTED = 8


class NonFiniteError(FloatingPointError):
    """A loss or a gradient is nan or infinite."""


class Batch(NamedTuple):
    """A forward pass, for the message.

    Attributes:
        iteration: of the training, counted from 0.
        images: paths, or ids where there are no paths.
        losses: losses that the detector returned, and ``balance_<part>`` of a balancer.
        parts: unweighted parts that the balancers received, scalars or ``(N,)`` per image.
    """

    iteration: int
    images: List[str]
    losses: Dict[str, Any]
    parts: Dict[str, Tensor]


@HOOKS.register_module()
class NonFiniteGuardHook(Hook):
    """Stops optimizer steps whose losses or gradients are nan or infinite.

    The message names the part, its value, the iteration, the images and the weights of the parts. Where parts are
    given per image, it names the images concerned. A part that is not finite but has the weight 0, because it was not
    selected, has no effect on the step: it is reported in a warning.

    ``policy='skip'`` skips the step: parameters and optimizer state are unchanged, and floating-point buffers (batch
    norm statistics, running means of balancers) are restored. Step counters advance, and the log shows the bad value.
    With gradient accumulation all batches of the step are skipped. In distributed training all processes decide alike,
    by one all-reduce.

    With several optimizers (mmengine's ``OptimWrapperDict``, as of a GAN) each of them counts its
    own steps: one may be skipped while the others go on.

    With a gradient scaler (``AmpOptimWrapper``) gradients that overflow are left to the scaler; losses are checked
    nevertheless. The check synchronises with the GPU once per step.

    Args:
        policy: ``'raise'`` or ``'skip'``.
        max_in_a_row: with ``'skip'``, the number >= 1 of consecutive skipped steps after which it raises.

    Attributes:
        num_skipped: steps skipped so far; saved in the checkpoint.

    Raises:
        ValueError: a setting is not among its choices.
        NonFiniteError: in a step, see above.
    """

    priority = 'VERY_HIGH'

    def __init__(self, policy: str = 'raise', max_in_a_row: int = 20) -> None:
        require(policy in POLICIES, 'NonFiniteGuardHook', 'policy', f'one of {list(POLICIES)}', policy)
        require(is_count(max_in_a_row), 'NonFiniteGuardHook', 'max_in_a_row', 'an integer >= 1', max_in_a_row)
        self.policy = policy
        self.max_in_a_row = max_in_a_row
        self.num_skipped = 0
        self._in_a_row: Dict[OptimWrapper, int] = {}
        self._batches: List[Batch] = []
        self._parts: Dict[str, Tensor] = {}
        self._buffers: Dict[str, Tensor] = {}
        self._late: Dict[LateTensor, Optional[Tensor]] = {}
        self._handles: List[Any] = []

    def before_train(self, runner: Runner) -> None:
        self.num_skipped = runner.message_hub.runtime_info.get(SKIPPED, 0)
        model = unwrapped(runner.model)
        self._handles = [
            model.register_forward_pre_hook(self._before_forward),
            model.register_forward_hook(functools.partial(self._after_forward, runner), with_kwargs=True),
        ]
        for module in model.modules():
            if isinstance(module, LossBalancer):
                self._handles.append(module.register_forward_pre_hook(self._note_parts, with_kwargs=True))
        # mmengine calls no hook between backward pass and step; the attribute overrides the method of the wrapper
        for wrapper in _wrappers(runner):
            wrapper.step = functools.partial(self._step, runner, wrapper, wrapper.step)

    def after_train(self, runner: Runner) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles = []
        for wrapper in _wrappers(runner):
            del wrapper.step

    def _before_forward(self, model: nn.Module, args: Any) -> None:
        if self.policy == 'skip' and model.training and not self._batches:
            for name, buffer in _float_buffers(model):
                if name not in self._buffers or self._buffers[name].shape != buffer.shape:
                    self._buffers[name] = buffer.detach().clone()
                else:
                    self._buffers[name].copy_(buffer)
            self._late = {module: module.value for module in _late_tensors(model)}

    def _note_parts(self, balancer: nn.Module, args: tuple, kwargs: dict) -> None:
        parts = args[0] if args else kwargs['parts']
        self._parts.update({name: value.detach() for name, value in parts.items()})

    def _after_forward(self, runner: Runner, model: nn.Module, args: tuple, kwargs: dict, output: Any) -> None:
        if model.training and kwargs.get('mode') == 'loss':
            images = _image_names(kwargs.get('data_samples'))
            self._batches.append(Batch(runner.iter, images, _watched(output), self._parts))
        self._parts = {}

    def _step(self, runner: Runner, wrapper: OptimWrapper, step: Callable, **kwargs: Any) -> None:
        batches, self._batches = self._batches, []
        step_is_finite, parts_are_finite = self._are_finite(batches, wrapper)
        if step_is_finite:
            self._in_a_row[wrapper] = 0
            if not parts_are_finite:
                self._warn_of_parts(runner, batches)
            step(**kwargs)
            return
        message = '\n'.join([*_bad_batches(batches), *_bad_gradients(unwrapped(runner.model))])
        message = message or 'a loss or gradient of another process is not finite: see its message'
        if self.policy == 'raise':
            raise NonFiniteError(
                f"NonFiniteGuardHook: {message}\nCheck these images' annotations; a lower learning rate, a warm-up or "
                "optim_wrapper.clip_grad=dict(max_norm=...) help if the training diverges; policy='skip' skips such "
                'steps.'
            )
        self._skip(runner, wrapper, message)

    def _skip(self, runner: Runner, wrapper: OptimWrapper, message: str) -> None:
        model = unwrapped(runner.model)
        for name, buffer in _float_buffers(model):
            if buffer.shape == self._buffers[name].shape:
                buffer.copy_(self._buffers[name])
            else:  # of a module that sizes its buffers in a step
                buffer.data = self._buffers[name].clone()
        for module in _late_tensors(model):
            module.value = self._late[module]
        self.num_skipped += 1
        self._in_a_row[wrapper] = in_a_row = self._in_a_row.get(wrapper, 0) + 1
        runner.message_hub.update_info(SKIPPED, self.num_skipped)
        if in_a_row >= self.max_in_a_row:
            raise NonFiniteError(
                f'NonFiniteGuardHook: {in_a_row} steps in a row were not finite (max_in_a_row='
                f'{self.max_in_a_row}). The last one: {message}'
            )
        runner.logger.warning(f'NonFiniteGuardHook: step skipped ({self.num_skipped} so far): {message}')

    def _warn_of_parts(self, runner: Runner, batches: List[Batch]) -> None:
        """Reports parts that are not finite but have the weight 0, and so no effect on the step."""
        for message in _bad_batches(batches):
            runner.logger.warning(
                f'NonFiniteGuardHook: {message} Losses and gradients are finite, since these values have the weight 0: '
                'the step is not skipped.'
            )

    def _are_finite(self, batches: List[Batch], wrapper: OptimWrapper) -> List[bool]:
        """Whether losses and gradients, and whether the unweighted parts are finite, in all processes."""
        values = [value.float().sum() for batch in batches for value in _tensors(batch.losses)]
        parts = [value.float().sum() for batch in batches for value in batch.parts.values()]
        scaler = getattr(wrapper, 'loss_scaler', None)
        if scaler is None or not scaler.is_enabled():
            grads = [p.grad for group in wrapper.optimizer.param_groups for p in group['params'] if p.grad is not None]
            values += torch._foreach_norm(grads, float('inf')) if grads else []  # few kernels, as in clip_grad_norm_
        if not values:
            return [True, True]
        device = values[0].device
        finite = [
            torch.stack([value.to(device, torch.float32) for value in some]).isfinite().all()
            if some
            else torch.ones((), dtype=torch.bool, device=device)
            for some in (values, parts)
        ]
        both = torch.stack(finite).int()
        dist.all_reduce(both, op='min')
        return both.bool().tolist()


def _wrappers(runner: Runner) -> List[OptimWrapper]:
    wrapper = runner.optim_wrapper
    return list(wrapper.values()) if isinstance(wrapper, OptimWrapperDict) else [wrapper]


def _late_tensors(model: nn.Module) -> Iterator[LateTensor]:
    return (module for module in model.modules() if isinstance(module, LateTensor))


def _float_buffers(model: nn.Module) -> Iterator[tuple]:
    return ((name, buffer) for name, buffer in model.named_buffers() if buffer.is_floating_point())


def _image_names(samples: Any) -> List[str]:
    """Paths of the images, or ids; none where the data is not a list of samples (semi-supervised detectors)."""
    samples = samples if isinstance(samples, (list, tuple)) else ()
    return [str(image_id(sample)) for sample in samples]


def _watched(losses: Dict[str, Any]) -> Dict[str, Any]:
    """Losses and weights; other entries, such as an accuracy without samples, may be nan."""
    return {
        key: value.detach() if isinstance(value, Tensor) else [item.detach() for item in value]
        for key, value in losses.items()
        if 'loss' in key or key.startswith('balance_')
    }


def _tensors(losses: Dict[str, Any]) -> Iterator[Tensor]:
    for value in losses.values():
        yield from [value] if isinstance(value, Tensor) else value


def _bad_batches(batches: List[Batch]) -> Iterator[str]:
    """A paragraph for each batch that has a value that is not finite."""
    for batch in batches:
        bad = _bad_values('part', batch.parts, batch.images) or _bad_values('loss', batch.losses, batch.images)
        if bad:
            weights = {
                key[len('balance_') :]: value for key, value in batch.losses.items() if key.startswith('balance_')
            }
            shown = ', '.join(f'{name} {float(value):.4g}' for name, value in weights.items())
            yield (
                f'in iteration {batch.iteration} {"; ".join(bad)}. '
                + (f'Weights: {shown}. ' if shown else '')
                + f'Images of the batch: {_listed(batch.images)}.'
            )


def _bad_values(kind: str, values: Dict[str, Any], images: List[str]) -> List[str]:
    bad = []
    for name, value in values.items():
        value = value if isinstance(value, Tensor) else torch.stack([item.sum() for item in value])
        wrong = ~value.isfinite()
        if bool(wrong.any()):
            text = f'{kind} {name!r} is {float(value[wrong].flatten()[0])}'
            if kind == 'part' and value.shape == (len(images),):
                text += f' for {_listed([image for image, flag in zip(images, wrong.tolist()) if flag])}'
            bad.append(text)
    return bad


def _bad_gradients(model: nn.Module) -> Iterator[str]:
    names = [
        name
        for name, parameter in model.named_parameters()
        if parameter.grad is not None and not bool(parameter.grad.isfinite().all())
    ]
    if names:
        yield f'gradients that are not finite: {_listed(names)}.'


def _listed(names: List[str]) -> str:
    more: Optional[int] = len(names) - _MAX_LISTED
    return ', '.join(names[:_MAX_LISTED]) + (f' and {more} more' if more and more > 0 else '')
