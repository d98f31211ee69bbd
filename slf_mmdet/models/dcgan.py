"""A small generator and discriminator for square images, after DCGAN (Radford et al., ICLR 2016)."""

from mmcv.cnn import build_norm_layer
from mmdet.registry import MODELS
from mmdet.utils import OptConfigType
from mmengine.model import BaseModule
from torch import Tensor, nn

from ..utils.checks import is_count, require

INIT = dict(type='Normal', layer=['Conv2d', 'ConvTranspose2d', 'Linear'], std=0.02)  # the paper's
NORM = dict(type='BN')
SLOPE = 0.2  # of the leaky ReLU, the paper's


@MODELS.register_module()
class DCGANGenerator(BaseModule):
    """From noise to images: a linear layer, then two transposed convolutions that double height and width.

    Args:
        image_size: side of the images in pixels, a multiple of 4.
        image_channels: of the images.
        noise_dim: length of a noise vector.
        channels: of the last hidden layer; the one before has twice as many.
        norm_cfg: normalisation of the hidden layers.
        init_cfg: see mmengine's ``BaseModule``; weights are drawn with the paper's standard deviation of 0.02.

    Attributes:
        noise_dim: see above.

    Raises:
        ValueError: a size is no integer >= 1, or ``image_size`` no multiple of 4.
    """

    def __init__(
        self,
        image_size: int = 28,
        image_channels: int = 1,
        noise_dim: int = 64,
        channels: int = 32,
        norm_cfg: OptConfigType = NORM,
        init_cfg: OptConfigType = INIT,
    ) -> None:
        super().__init__(init_cfg)
        _check_sizes(self, image_size, image_channels=image_channels, noise_dim=noise_dim, channels=channels)
        self.noise_dim = noise_dim
        side = image_size // 4
        self.layers = nn.Sequential(
            nn.Linear(noise_dim, 2 * channels * side**2, bias=norm_cfg is None),
            nn.Unflatten(1, (2 * channels, side, side)),
            *_norm(norm_cfg, 2 * channels),
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(2 * channels, channels, 4, stride=2, padding=1, bias=norm_cfg is None),
            *_norm(norm_cfg, channels),
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(channels, image_channels, 4, stride=2, padding=1),
            nn.Tanh(),
        )

    def forward(self, noise: Tensor) -> Tensor:
        """Noise ``(N, noise_dim)`` to images ``(N, C, H, W)`` in [-1, 1]."""
        return self.layers(noise)


@MODELS.register_module()
class DCGANDiscriminator(BaseModule):
    """From images to scores: two convolutions that halve height and width, then a linear layer.

    Args:
        image_size: side of the images in pixels, a multiple of 4.
        image_channels: of the images.
        channels: of the first layer; the second has twice as many.
        norm_cfg: normalisation of the second layer. DCGAN has batch norm; the default is none, which
            suits all losses: a gradient penalty is of single images.
        init_cfg: see :class:`DCGANGenerator`.

    Raises:
        ValueError: see :class:`DCGANGenerator`.
    """

    def __init__(
        self,
        image_size: int = 28,
        image_channels: int = 1,
        channels: int = 32,
        norm_cfg: OptConfigType = None,
        init_cfg: OptConfigType = INIT,
    ) -> None:
        super().__init__(init_cfg)
        _check_sizes(self, image_size, image_channels=image_channels, channels=channels)
        self.layers = nn.Sequential(
            nn.Conv2d(image_channels, channels, 4, stride=2, padding=1),
            nn.LeakyReLU(SLOPE, inplace=True),
            nn.Conv2d(channels, 2 * channels, 4, stride=2, padding=1, bias=norm_cfg is None),
            *_norm(norm_cfg, 2 * channels),
            nn.LeakyReLU(SLOPE, inplace=True),
            nn.Flatten(),
            nn.Linear(2 * channels * (image_size // 4) ** 2, 1),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Images ``(N, C, H, W)`` to scores ``(N,)``, greater for real ones."""
        return self.layers(images).squeeze(1)


def _norm(norm_cfg: OptConfigType, channels: int) -> tuple:
    return () if norm_cfg is None else (build_norm_layer(norm_cfg, channels)[1],)


def _check_sizes(owner: BaseModule, image_size: int, **sizes: int) -> None:
    name = type(owner).__name__
    for key, value in sizes.items():
        require(is_count(value), name, key, 'an integer >= 1', value)
    require(is_count(image_size) and image_size % 4 == 0, name, 'image_size', 'a multiple of 4', image_size)
