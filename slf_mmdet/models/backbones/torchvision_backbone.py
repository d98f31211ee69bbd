"""Any classification network of torchvision as a backbone, with its pretrained weights.

The networks: https://docs.pytorch.org/vision/stable/models.html#classification
"""

import difflib
import itertools
import os
from typing import Optional, Union

import torch
import torchvision
from mmdet.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn
from torchvision.models.feature_extraction import create_feature_extractor, get_graph_node_names

from .frozen import keep_frozen

# A torchvision network's classifier starts at the first module or operation of such a name.
CLASSIFIER_PARTS = frozenset(('avgpool', 'adaptive_avg_pool2d', 'mean', 'classifier', 'fc', 'head', 'heads'))
# Entries under which training scripts keep the state dict.
WRAPPERS = ('state_dict', 'model')


@MODELS.register_module()
class TorchVisionBackbone(BaseModule):
    """Feature extractor cut out of a classification network of torchvision.

    By default it is everything before the global pooling and the classifier: ``features`` of VGG,
    SqueezeNet, MobileNet, EfficientNet or ConvNeXt, everything up to ``layer4`` of a ResNet. The
    parameters keep torchvision's names (``features.0.weight``, ``layer1.0.conv1.weight``, ...).

    torchvision trained its weights on RGB images with mean (123.675, 116.28, 103.53) and standard
    deviation (58.395, 57.12, 57.375): give these to the ``data_preprocessor``, with
    ``bgr_to_rgb=True``.

    Args:
        model: A name in ``torchvision.models.list_models(module=torchvision.models)``.
        weights: ``None``; a name among torchvision's weights of this network, such as
            ``'IMAGENET1K_V1'`` or ``'DEFAULT'`` (downloaded once); or a local file with the state
            dict of the whole network or of the part kept here. ``init_weights()`` loads them, so
            building a model neither downloads nor reads anything.
        out_layer: Where to cut instead: a module or operation such as ``'layer3'`` or
            ``'features.22'``; :func:`torchvision.models.feature_extraction.get_graph_node_names`
            lists them.
        drop_last_pool: Leave out the max-pool at the very end that AlexNet and VGG have: 448 px
            through VGG-16 then give 28x28 instead of 14x14.
        frozen: ``True``: nothing is trained, and all stays in evaluation mode. A number freezes
            as many stages, from the first; a stage is a child of the network or of its ``features``.
        norm_eval: Keep every batch normalisation in evaluation mode during training.
        channels_last: Compute in PyTorch's channels-last memory format, often faster on a CPU, and
            on a GPU with mixed precision.
        init_cfg: As in every mmengine module; excludes ``weights``.

    Attributes:
        out_channels (int): Channels of the map that ``forward`` returns.

    Raises:
        ValueError: A name is unknown (the message lists those close to it, or the valid ones),
            ``frozen`` exceeds the stages, there is no pool to drop, the output is not a feature
            map, or both ``weights`` and ``init_cfg`` are given.

    Example:
        >>> TorchVisionBackbone('resnet18', out_layer='layer3').out_channels
        256
    """

    def __init__(
        self,
        model: str,
        weights: Optional[str] = None,
        out_layer: Optional[str] = None,
        drop_last_pool: bool = False,
        frozen: Union[bool, int] = False,
        norm_eval: bool = False,
        channels_last: bool = False,
        init_cfg: Union[dict, list, None] = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        if weights is not None and init_cfg is not None:
            raise ValueError(
                f'TorchVisionBackbone: weights={weights!r} and init_cfg={init_cfg!r} both say how '
                f'to initialise; give one of them.'
            )
        _check_model_name(model)
        self.model = model
        self.channels_last = channels_last
        self.weights = weights
        self._published_weights = _find_published_weights(model, weights)

        network = torchvision.models.get_model(model, weights=None)
        if weights is not None and hasattr(network, 'transform_input'):
            # GoogLeNet's and Inception's weights expect inputs in [-1, 1]: this converts them.
            network.transform_input = True
        out_node = _find_output(network, model, out_layer, drop_last_pool)
        extractor = create_feature_extractor(network, {out_node: 'map'}, suppress_diff_warning=True)
        # The modules become children of the backbone itself, so that the keys of its state dict
        # are torchvision's. The extractor's generated methods then run on the backbone.
        for name, child in extractor.named_children():
            self.add_module(name, child)
        for name, parameter in extractor.named_parameters(recurse=False):
            self.register_parameter(name, parameter)
        for name, constant in extractor.named_buffers(recurse=False):
            self.register_buffer(name, constant, persistent=False)
        self._run = {mode: type(extractor.train(mode)).forward for mode in (True, False)}

        shape = self._output_shape()
        if len(shape) != 4:
            raise ValueError(
                f'TorchVisionBackbone: {out_node!r} of {model} gives a tensor of {len(shape)} '
                f'dimensions, not a feature map (N, C, H, W). Name another out_layer, or use a '
                f'convolutional network.'
            )
        self.out_channels = shape[1]
        self.norm_eval = norm_eval
        self._freeze_all = frozen is True
        self._frozen_modules = self._find_frozen(frozen)
        for module in self._frozen_modules:
            module.requires_grad_(False)

    def forward(self, x: Tensor) -> tuple[Tensor]:
        """Maps RGB images (N, 3, H, W) to a tuple of one map (N, out_channels, h, w)."""
        if self.channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        return (self._run[self.training](self, x)['map'],)

    def init_weights(self) -> None:
        """Loads ``weights``, if any; otherwise torchvision's initialisation stays.

        Raises:
            FileNotFoundError: The file does not exist.
            ValueError: The file lacks parameters of the kept part, or has them in another shape.
        """
        if self.weights is not None and not self.is_init:
            if self._published_weights is not None:
                state = self._published_weights.get_state_dict(progress=True, check_hash=True)
            else:
                state = _read_state_dict(self.weights)
            self._load_kept_part(state)
        super().init_weights()

    def train(self, mode: bool = True) -> 'TorchVisionBackbone':
        """Sets the mode, except of frozen modules, which stay in evaluation mode."""
        super().train(mode and not self._freeze_all)
        keep_frozen(self, self._frozen_modules, self.norm_eval)
        return self

    def _output_shape(self) -> torch.Size:
        """Shape of the output for a 224 px image, found on the meta device."""
        tensors = dict(itertools.chain(self.named_parameters(), self.named_buffers()))
        shapes = {name: tensor.to('meta') for name, tensor in tensors.items()}
        image = torch.empty(1, 3, 224, 224, device='meta')
        with torch.no_grad():
            return torch.func.functional_call(self, shapes, (image,))[0].shape

    def _find_frozen(self, frozen: Union[bool, int]) -> list[nn.Module]:
        if frozen is True:
            return list(self.children())
        stages: list[nn.Module] = []
        for name, child in self.named_children():
            stages.extend(child.children() if name == 'features' else [child])
        if not 0 <= frozen <= len(stages):
            raise ValueError(
                f'TorchVisionBackbone: frozen counts stages, of which {self.model} has '
                f'{len(stages)} here; found {frozen}. Use True to freeze all, False for none.'
            )
        return stages[: int(frozen)]

    def _load_kept_part(self, state: dict[str, Tensor]) -> None:
        own = self.state_dict()
        # Files older than PyTorch 0.4.1 have no num_batches_tracked
        missing = [key for key in own if key not in state and not key.endswith('num_batches_tracked')]
        if missing:
            raise ValueError(
                f'TorchVisionBackbone: {self.weights!r} lacks {len(missing)} of the {len(own)} '
                f'entries of {self.model}: {_shorten(missing)}. It has {_shorten(list(state))}. '
                f'It must hold a state dict of that network, under names such as {next(iter(own))}.'
            )
        kept = {key: state[key] for key in own if key in state}
        misshaped = [
            f'{key} {tuple(value.shape)} instead of {tuple(own[key].shape)}'
            for key, value in kept.items()
            if value.shape != own[key].shape
        ]
        if misshaped:
            raise ValueError(
                f'TorchVisionBackbone: {self.weights!r} is of another network than {self.model}: {_shorten(misshaped)}.'
            )
        self.load_state_dict(kept, strict=False)


def _check_model_name(model: str) -> None:
    names = torchvision.models.list_models(module=torchvision.models)
    if model not in names:
        close = difflib.get_close_matches(model, names, n=5) or ['none is close']
        raise ValueError(
            f'TorchVisionBackbone: torchvision has no classification network {model!r} (close: '
            f'{", ".join(close)}). List them with '
            f'torchvision.models.list_models(module=torchvision.models).'
        )


def _find_published_weights(model: str, weights: Optional[str]) -> Optional['torchvision.models.WeightsEnum']:
    """Looks a name up among the weights of the network; ``None`` for no weights and for a file."""
    if weights is None:
        return None
    published = torchvision.models.get_model_weights(model)
    if weights in published.__members__:
        return published[weights]
    if os.path.basename(weights) != weights or os.path.splitext(weights)[1]:
        return None
    raise ValueError(
        f'TorchVisionBackbone: {model} has no weights {weights!r}. Use one of '
        f'{", ".join(published.__members__)}, the path of a file (.pth), or None.'
    )


def _find_output(network: nn.Module, model: str, out_layer: Optional[str], drop_last_pool: bool) -> str:
    """Name of the operation whose result is the feature map."""
    _, names = get_graph_node_names(network, suppress_diff_warning=True)
    if out_layer is None:
        ends = [i for i, name in enumerate(names) if name.split('.')[0] in CLASSIFIER_PARTS]
        if not ends:
            raise ValueError(
                f'TorchVisionBackbone: cannot find where the classifier of {model} starts; set '
                f'out_layer, the last layer to keep, to one of {_shorten(names)}.'
            )
        out = ends[0] - 1
    else:
        inside = [i for i, name in enumerate(names) if f'{name}.'.startswith(f'{out_layer}.')]
        if not inside:
            parts = (name.split('.') for name in names)
            known = {'.'.join(part[: i + 1]) for part in parts for i in range(len(part))}
            close = difflib.get_close_matches(out_layer, sorted(known), n=5) or ['none is close']
            raise ValueError(
                f'TorchVisionBackbone: {model} has no layer {out_layer!r} (close: '
                f'{", ".join(close)}). List them with '
                f'torchvision.models.feature_extraction.get_graph_node_names.'
            )
        out = inside[-1]
    if drop_last_pool:
        last = dict(network.named_modules()).get(names[out])
        if not isinstance(last, nn.MaxPool2d):
            raise ValueError(
                f'TorchVisionBackbone: drop_last_pool=True, but {model} ends here with '
                f'{names[out]!r}, which is not a max-pool; leave the option out.'
            )
        out -= 1
    return names[out]


def _read_state_dict(path: str) -> dict[str, Tensor]:
    path = os.path.expanduser(path)
    if not os.path.isfile(path):
        raise FileNotFoundError(
            f'TorchVisionBackbone: weights={path!r} is not a file. Give the path of a state dict, or '
            f"a name such as 'DEFAULT' to download torchvision's weights."
        )
    state = torch.load(path, map_location='cpu', weights_only=True)
    for wrapper in WRAPPERS:
        if isinstance(state.get(wrapper), dict):
            return state[wrapper]
    return state


def _shorten(names: list[str], limit: int = 5) -> str:
    rest = len(names) - limit
    return ', '.join(names[:limit]) + (f' and {rest} more' if rest > 0 else '')
