"""The EfficientNets of timm as backbones; what their frozen stages compute can be kept on disk."""

import hashlib
import os
from pathlib import Path
from typing import Any, List, Optional, Sequence, Tuple, Union

import torch
from mmdet.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn

from ...utils.checks import is_count, require
from ...utils.optional import needs
from .frozen import keep_frozen


@MODELS.register_module()
class EfficientNetBackbone(BaseModule):
    """An EfficientNet of timm without its classifier (Tan & Le, ICML 2019, https://arxiv.org/abs/1905.11946).

    Parameters have timm's names (``conv_stem``, ``bn1``, ``blocks.0``, ...), so that its weights load. They were
    trained on RGB images; EfficientNet-Lite expects (x - 127) / 128:
    ``data_preprocessor=dict(mean=[127.0] * 3, std=[128.0] * 3, bgr_to_rgb=True)``.

    Needs timm: ``pip install 'slf-mmdet[cls]'``.

    Args:
        model: a name in ``timm.list_models('*efficientnet*')``.
        out_stages: the stages, of ``blocks`` and counted from 0, whose maps are returned, ascending. EfficientNet-Lite0
            has 7: stages 2, 4 and 6 have the strides 8, 16 and 32.
        weights: file with the state dict, of any floating type; ``None`` leaves timm's initialisation. Read by
            ``init_weights()``.
        frozen_stages: the stem and as many stages are not trained and stay in evaluation mode; 0 trains all.
        norm_eval: keep every batch normalisation in evaluation mode during training.
        channels_last: compute in PyTorch's channels-last memory format, faster on a CPU.
        cache_dir: folder where the maps of the frozen stages are kept, one file for each image that they have seen, and
            read instead of computed where the same image comes again. For trainings whose augmentation gives few
            versions of an image, such as a flip alone. A folder belongs to one model, its weights and
            ``frozen_stages``.
        init_cfg: as in every mmengine module; excludes ``weights``.

    Attributes:
        out_channels (tuple[int]): of each map.

    Raises:
        ModuleNotFoundError: timm is not installed.
        ValueError: a setting is out of its range, or the network is no EfficientNet.
    """

    def __init__(
        self,
        model: str = 'tf_efficientnet_lite0',
        out_stages: Sequence[int] = (2, 4, 6),
        weights: Optional[str] = None,
        frozen_stages: int = 0,
        norm_eval: bool = False,
        channels_last: bool = True,
        cache_dir: Optional[str] = None,
        init_cfg: Union[dict, list, None] = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        owner = type(self).__name__
        network = _build(model)
        count = len(network.blocks)
        right = all(is_count(each, 0) and each < count for each in out_stages) and len(out_stages) > 0
        right = right and list(out_stages) == sorted(set(out_stages))
        require(right, owner, 'out_stages', f'ascending indices of the {count} stages', out_stages)
        right = is_count(frozen_stages, 0) and frozen_stages <= count
        require(right, owner, 'frozen_stages', f'an integer from 0 to {count}', frozen_stages)
        right = cache_dir is None or frozen_stages > 0
        require(right, owner, 'frozen_stages', '> 0 where cache_dir is given', frozen_stages)
        require(weights is None or init_cfg is None, owner, 'init_cfg', 'None where weights are given', init_cfg)
        self.out_stages = tuple(out_stages)
        self.weights = weights
        self.frozen_stages = frozen_stages
        self.norm_eval = norm_eval
        self.channels_last = channels_last
        self.cache_dir = None if cache_dir is None else Path(cache_dir)
        self.conv_stem, self.bn1 = network.conv_stem, network.bn1
        self.blocks = network.blocks[: self.out_stages[-1] + 1]
        self.out_channels = tuple(_channels(self.blocks[stage]) for stage in self.out_stages)
        for module in self._frozen():
            module.requires_grad_(False)
        self.train()  # frozen stages are in evaluation mode from the beginning

    def forward(self, x: Tensor) -> Tuple[Tensor, ...]:
        """Maps RGB images (N, 3, H, W) to a tuple of maps (N, C, h, w), one for each of ``out_stages``."""
        if self.channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        frozen = self._cached(x) if self.cache_dir is not None else self._run_frozen(x)
        maps = [each for stage, each in zip(self._kept(), frozen) if stage in self.out_stages]
        x = frozen[-1]
        for stage in range(self.frozen_stages, len(self.blocks)):
            x = self.blocks[stage](x)
            if stage in self.out_stages:
                maps.append(x)
        return tuple(maps)

    def init_weights(self) -> None:
        """Loads ``weights``, if any; otherwise timm's initialisation stays.

        Raises:
            FileNotFoundError: the file does not exist.
            ValueError: it lacks parameters of the network.
        """
        if self.weights is not None and not self.is_init:
            if not os.path.isfile(self.weights):
                raise FileNotFoundError(f'EfficientNetBackbone: weights={self.weights!r} does not exist')
            state = torch.load(self.weights, map_location='cpu', weights_only=True)
            state = {key: value.float() if value.is_floating_point() else value for key, value in state.items()}
            missing = sorted(set(self.state_dict()) - set(state))
            if missing:
                raise ValueError(f'EfficientNetBackbone: {self.weights} lacks {len(missing)} entries: {missing[:3]}')
            self.load_state_dict({key: state[key] for key in self.state_dict()})
        super().init_weights()

    def train(self, mode: bool = True) -> 'EfficientNetBackbone':
        """Sets the mode, except of frozen stages, which stay in evaluation mode."""
        super().train(mode)
        keep_frozen(self, self._frozen(), self.norm_eval)
        return self

    def _frozen(self) -> List[nn.Module]:
        return [self.conv_stem, self.bn1, *self.blocks[: self.frozen_stages]] if self.frozen_stages else []

    def _kept(self) -> List[int]:
        """The frozen stages whose maps are needed: those that are returned, and the last one; -1 is the stem."""
        last = min(self.frozen_stages, len(self.blocks)) - 1
        return [*(stage for stage in self.out_stages if stage < last), last]

    def _run_frozen(self, x: Tensor) -> List[Tensor]:
        kept = self._kept()
        maps = []
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.frozen_stages == 0):
            x = self.bn1(self.conv_stem(x))
            if -1 in kept:
                maps.append(x)
            for stage in range(kept[-1] + 1):
                x = self.blocks[stage](x)
                if stage in kept:
                    maps.append(x)
        return maps

    def _cached(self, x: Tensor) -> List[Tensor]:
        paths = [self._path(image) for image in x]
        # Files do not depend on the device and the precision of the run that wrote them
        found: List[Any] = [
            torch.load(path, map_location='cpu', weights_only=True) if path.exists() else None for path in paths
        ]
        absent = [index for index, maps in enumerate(found) if maps is None]
        if absent:
            with torch.autocast(x.device.type, enabled=False):
                computed = self._run_frozen(x[absent].float())
            for index, *maps in zip(absent, *computed):
                found[index] = [each.cpu().clone(memory_format=torch.contiguous_format) for each in maps]
                _write(paths[index], found[index])
        formats = torch.channels_last if self.channels_last else torch.contiguous_format
        return [torch.stack(maps).to(x.device).contiguous(memory_format=formats) for maps in zip(*found)]

    def _path(self, image: Tensor) -> Path:
        assert self.cache_dir is not None
        digest = hashlib.blake2b(image.detach().cpu().contiguous().numpy().tobytes(), digest_size=16).hexdigest()
        return self.cache_dir / digest[:2] / f'{digest}.pth'


def _build(model: str) -> Any:
    with needs('EfficientNetBackbone', 'timm', 'cls'):
        import timm
    if model not in timm.list_models():
        names = timm.list_models('*efficientnet_lite*')
        raise ValueError(f'EfficientNetBackbone: model must be a network of timm, such as {names}; found {model!r}')
    network = timm.create_model(model, pretrained=False)
    if not all(hasattr(network, name) for name in ('conv_stem', 'bn1', 'blocks')):
        raise ValueError(f'EfficientNetBackbone: {model!r} is no EfficientNet: it has no conv_stem, bn1 and blocks')
    return network


def _channels(stage: nn.Module) -> int:
    return [module.out_channels for module in stage.modules() if isinstance(module, nn.Conv2d)][-1]


def _write(path: Path, maps: List[Tensor]) -> None:
    """Whole or not at all, as several processes may share the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f'.{os.getpid()}')
    torch.save(maps, partial)
    partial.replace(path)
