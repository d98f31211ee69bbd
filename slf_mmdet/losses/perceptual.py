"""Perceptual and style losses (Johnson et al., ECCV 2016, https://arxiv.org/abs/1603.08155)."""

import difflib
from abc import abstractmethod
from typing import Any, Dict, Mapping, Sequence

import torch
from mmdet.registry import MODELS
from mmdet.utils import ConfigType
from mmengine.model import BaseModule
from torch import Tensor, nn

from ..utils.checks import is_number, require

# Of the images that torchvision's networks were trained on, in units of 0 to 255
IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)


def feature_distance(pred: Tensor, target: Tensor) -> Tensor:
    """Squared Euclidean distance of feature maps over their size C H W (Eq. 2), ``(N,)`` of ``(N, C, H, W)``."""
    return (pred - target).square().flatten(1).mean(1)


def gram_matrix(features: Tensor) -> Tensor:
    """Which channels are active together, wherever it is: the Gram matrix of the channels over C H W (Eq. 3).

    Args:
        features: ``(N, C, H, W)``.

    Returns:
        ``(N, C, C)``.
    """
    channels = features.flatten(2)
    return channels @ channels.transpose(1, 2) / features.shape[1:].numel()


def style_distance(pred: Tensor, target: Tensor) -> Tensor:
    """Squared Frobenius distance of :func:`gram_matrix` (Eq. 4), ``(N,)``; H and W of the two may differ."""
    return (gram_matrix(pred) - gram_matrix(target)).square().sum((1, 2))


def total_variation(images: Tensor) -> Tensor:
    """Mean absolute difference of neighbouring pixels, vertical and horizontal, ``(N,)`` of ``(N, C, H, W)``.

    Examples:
        >>> total_variation(torch.tensor([[[[0.0, 1.0], [0.0, 3.0]]]]))  # (0 + 2) / 2 + (1 + 3) / 2
        tensor([3.])
    """
    return images.diff(dim=-2).abs().flatten(1).mean(1) + images.diff(dim=-1).abs().flatten(1).mean(1)


class FeatureLoss(BaseModule):
    """A distance of two images in the feature maps of a network that is not trained.

    Args:
        network: config of a backbone in mmdet's registry, ``TorchVisionBackbone`` or ``EfficientNetBackbone`` for
            instance, with the weights it starts from. It stays as it is, in evaluation mode.
        layers: name of a submodule of the network -> weight >= 0 of the distance in its output. Those of
            ``TorchVisionBackbone`` are torch's own, such as ReLU and pooling: blocks of torchvision are not called as a
            whole there.
        mean: of each channel of RGB, that the network expects, of pixels from 0 to 255.
        std: as well.
        loss_weight: factor of the result.

    Raises:
        ValueError: ``layers`` is empty, names no submodule, or a weight is no number >= 0; or, when called, a submodule
            was not called by the network or its output is no map.
    """

    def __init__(
        self,
        network: ConfigType,
        layers: Mapping[str, float],
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        right = isinstance(layers, Mapping) and layers and all(is_number(weight, 0) for weight in layers.values())
        require(bool(right), name, 'layers', 'a dict of at least one layer -> weight >= 0', layers)
        self.network = MODELS.build(network)
        self.network.requires_grad_(False)
        modules = dict(self.network.named_modules())
        for layer in layers:
            if layer not in modules:
                close = difflib.get_close_matches(layer, modules, n=5) or [
                    one for one, _ in self.network.named_children()
                ]
                kind = type(self.network).__name__
                raise ValueError(f'{name}: {kind} has no submodule {layer!r}; close to it: {", ".join(close)}.')
        for module in modules.values():
            if getattr(module, 'inplace', False):
                module.inplace = False  # it would overwrite the output of the layer before it
        self.layers: Dict[str, float] = dict(layers)
        self.loss_weight = loss_weight
        self.register_buffer('mean', torch.tensor(mean, dtype=torch.get_default_dtype()).view(-1, 1, 1) / 255, False)
        self.register_buffer('std', torch.tensor(std, dtype=torch.get_default_dtype()).view(-1, 1, 1) / 255, False)
        self.mean: Tensor
        self.std: Tensor
        self.train(False)

    @staticmethod
    @abstractmethod
    def distance(pred: Tensor, target: Tensor) -> Tensor:
        """Of two feature maps ``(N, C, H, W)``, ``(N,)``."""

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        """The mean over the images of the weighted sum of the distances.

        Args:
            pred: images ``(N, 3, H, W)``, RGB, from 0 to 1.
            target: as well.
        """
        ours = self.features(pred)
        with torch.no_grad():
            theirs = self.features(target)
        distances = [self.layers[name] * self.distance(ours[name], theirs[name]) for name in self.layers]
        return self.loss_weight * torch.stack(distances).sum(0).mean()

    def features(self, images: Tensor) -> Dict[str, Tensor]:
        """Layer -> its output, of images ``(N, 3, H, W)``, RGB, from 0 to 1."""
        found: Dict[str, Tensor] = {}
        hooks = [self._record(name, found) for name in self.layers]
        try:
            with torch.autocast(images.device.type, enabled=False):
                self.network((images.float() - self.mean) / self.std)
        finally:
            for hook in hooks:
                hook.remove()
        wrong = [name for name in self.layers if found.get(name) is None or found[name].dim() != 4]
        if wrong:
            parts = [name for name, _ in self.network.named_modules() if name.startswith(f'{wrong[0]}.')]
            hint = f' {wrong[0]} consists of {", ".join(parts)}.' if parts else ''
            raise ValueError(
                f'{type(self).__name__}: {wrong} of {type(self.network).__name__} give no feature map (N, C, H, W). '
                f'Name layers that it calls as a whole, and whose output is one tensor.{hint}'
            )
        return found

    def train(self, mode: bool = True) -> 'FeatureLoss':
        """The network stays in evaluation mode."""
        super().train(mode)
        self.network.eval()
        return self

    def _record(self, name: str, found: Dict[str, Tensor]) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor):
                found[name] = output

        return self.network.get_submodule(name).register_forward_hook(hook)


@MODELS.register_module()
class PerceptualLoss(FeatureLoss):
    """:func:`feature_distance` in the layers of a network: what an image shows, instead of its pixels.

    For super-resolution the authors take relu2_2 of VGG-16, for style transfer relu3_3.
    """

    distance = staticmethod(feature_distance)


@MODELS.register_module()
class StyleLoss(FeatureLoss):
    """:func:`style_distance` in the layers of a network: textures, wherever they are."""

    distance = staticmethod(style_distance)


@MODELS.register_module()
class TotalVariationLoss(nn.Module):
    """:func:`total_variation` of the predicted images, a regulariser: the target does not count.

    Args:
        loss_weight: factor of the result.
    """

    def __init__(self, loss_weight: float = 1.0) -> None:
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, pred: Tensor, target: Any = None) -> Tensor:
        return self.loss_weight * total_variation(pred).mean()
