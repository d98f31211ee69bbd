"""The Fréchet distance between generated and real images (Heusel et al., NeurIPS 2017), on features of any network."""

from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

import torch
import torch.nn.functional as F
from mmengine.device import get_device
from mmengine.evaluator import BaseMetric
from mmengine.registry import METRICS, MODELS
from mmengine.runner.checkpoint import _load_checkpoint_with_prefix
from torch import Tensor, nn

from ..utils.checks import require
from ..utils.optional import needs

CLASSIFIER = 'configs/classification/mnist/lenet_ce_1xb128-20e_mnist-32px.py'


@METRICS.register_module()
class FrechetDistance(BaseMetric):
    r"""Distance between the features of real images and of generated ones, both taken as normally distributed.

    .. math::
        \lVert \mu - \tilde\mu \rVert^2 + \mathrm{tr}(\Sigma + \tilde\Sigma - 2 (\Sigma \tilde\Sigma)^{1/2})

    The formula is torchmetrics'. The features are the last ones of a classifier's backbone, averaged over the image,
    instead of those of an Inception network that has seen no such images. So values can be compared with each other,
    with the same checkpoint and as many images, but not with published ones. The smaller, the better; the key is
    ``gan/frechet_distance``.

    Args:
        backbone: config of the classifier's backbone.
        checkpoint: of the classifier, whose keys begin with ``backbone.``.
        mean: of the classifier's pixels of 0 to 255, for each channel or for all.
        std: likewise.
        size: side in pixels to which images are resized, ``None`` for none.
        collect_device: see mmengine's ``BaseMetric``.
        prefix: of the key.

    Raises:
        ModuleNotFoundError: torchmetrics is not installed.
        FileNotFoundError: there is no such checkpoint.
        ValueError: there are fewer than two images.
    """

    default_prefix = 'gan'
    results: List[Tuple[Tensor, Tensor]]

    def __init__(
        self,
        backbone: dict,
        checkpoint: str,
        mean: Sequence[float],
        std: Sequence[float],
        size: Optional[int] = None,
        collect_device: str = 'cpu',
        prefix: Optional[str] = None,
    ) -> None:
        super().__init__(collect_device, prefix)
        with needs('FrechetDistance', 'torchmetrics', 'gan'):
            import torchmetrics  # noqa: F401
        if not Path(checkpoint).is_file():
            raise FileNotFoundError(
                f'FrechetDistance: the checkpoint {checkpoint} is not there. It is that of a classifier of the same '
                f'images; train one, such as with: slf-mmdet train {CLASSIFIER}'
            )
        self.backbone = MODELS.build(backbone)
        self.backbone.load_state_dict(_load_checkpoint_with_prefix('backbone.', checkpoint, map_location='cpu'))
        self.backbone.to(get_device()).eval()
        self.mean, self.std = (torch.tensor(value, device=get_device()).view(-1, 1, 1) for value in (mean, std))
        self.size = size

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        """Of uint8 images ``(N, C, H, W)``, ``(N, D)`` on the CPU."""
        pixels = images.to(get_device(), torch.float32)
        if self.size is not None:
            pixels = F.interpolate(pixels, size=(self.size, self.size), mode='bilinear')
        found = self.backbone((pixels - self.mean) / self.std)
        last = found if isinstance(found, Tensor) else found[-1]
        return last.flatten(2).mean(2).cpu()

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Keeps the features of a batch.

        Args:
            data_batch: with ``inputs``, the real images ``(C, H, W)``, uint8.
            data_samples: for each a generated image ``fake_img``, likewise.
        """
        real = self.features(torch.stack(list(data_batch['inputs'])))
        fake = self.features(torch.stack([sample['fake_img'] for sample in data_samples]))
        self.results.extend(zip(real, fake))

    def compute_metrics(self, results: List[Tuple[Tensor, Tensor]]) -> Dict[str, float]:
        """The distance, in double precision."""
        from torchmetrics.image.fid import FrechetInceptionDistance

        require(len(results) > 1, 'FrechetDistance', 'the number of images', '>= 2', len(results))
        real, fake = (torch.stack(rows).double() for rows in zip(*results))
        identity: Any = nn.Identity()
        identity.num_features = real.shape[1]
        # mmengine has collected the features of all processes
        distance = FrechetInceptionDistance(identity, sync_on_compute=False)
        distance.update(real, real=True)
        distance.update(fake, real=False)
        return dict(frechet_distance=float(distance.compute()))
