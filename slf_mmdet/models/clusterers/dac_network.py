"""The network of Deep Adaptive Clustering (Chang et al., "Deep Adaptive Image Clustering", ICCV 2017)."""

from typing import List, Sequence

from mmdet.registry import MODELS
from mmdet.utils import OptMultiConfig
from mmengine.model import BaseModule
from torch import Tensor, nn

from ...utils.checks import is_count, require

HE_NORMAL = dict(type='Kaiming', layer='Conv2d', mode='fan_in', distribution='normal')


@MODELS.register_module()
class DACNetwork(BaseModule):
    """Maps images to a probability of each cluster.

    Each stage is some unpadded 3x3 convolutions and a 2x2 max pooling. Then come a 1x1 convolution to one channel per
    cluster, the mean over the positions, and two linear layers that start as the identity. There is a batch
    normalisation after each of these, and a ReLU after each convolution and linear layer. The output is a softmax.

    The authors take the statistics of the batch also for predictions; here these are the running ones, as usual, so the
    cluster of an image does not depend on the others in its batch.

    Args:
        num_clusters: k.
        in_channels: channels of the images.
        stages: for each stage the channels of its convolutions. The default is the network of the authors' code for
            MNIST; that for CIFAR-10 has the convolutions ``((64, 64), (128, 128))``.
        init_cfg: initialisation of the convolutions; ``None``: that of He et al., normal, as the authors have it.

    Raises:
        ValueError: ``num_clusters`` is not an integer >= 2, or the channels of a stage are not a list of integers >= 1.
    """

    def __init__(
        self,
        num_clusters: int,
        in_channels: int = 1,
        stages: Sequence[Sequence[int]] = ((64, 64, 64), (128, 128, 128)),
        init_cfg: OptMultiConfig = None,
    ) -> None:
        owner = type(self).__name__
        wanted = 'an integer >= 2'
        require(is_count(num_clusters, 2), owner, 'num_clusters', wanted, num_clusters, 'One cluster has all images.')
        for widths in stages:
            right = len(widths) > 0 and all(is_count(width) for width in widths)
            require(right, owner, 'each of stages', 'a list of integers >= 1', widths)
        super().__init__(HE_NORMAL if init_cfg is None else init_cfg)
        self.num_clusters = num_clusters
        layers: List[nn.Module] = []
        channels = in_channels
        for widths in stages:
            for width in widths:
                layers += [nn.Conv2d(channels, width, 3, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
                channels = width
            layers += [nn.MaxPool2d(2), nn.BatchNorm2d(channels)]
        layers += [nn.Conv2d(channels, num_clusters, 1, bias=False), nn.BatchNorm2d(num_clusters), nn.ReLU()]
        layers += [nn.AdaptiveAvgPool2d(1), nn.BatchNorm2d(num_clusters), nn.Flatten()]
        for _ in range(2):
            linear = nn.Linear(num_clusters, num_clusters, bias=False)
            nn.init.eye_(linear.weight)
            layers += [linear, nn.BatchNorm1d(num_clusters), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Softmax(dim=1))

    def forward(self, images: Tensor) -> Tensor:
        """Maps ``(N, in_channels, H, W)`` to ``(N, num_clusters)``, each row of which sums to 1."""
        return self.layers(images)
