"""The last step of a pipeline for regression: what the model is given."""

import torch
from mmcv.transforms import BaseTransform
from mmdet.registry import TRANSFORMS
from mmengine.structures import BaseDataElement


@TRANSFORMS.register_module()
class PackFeatures(BaseTransform):
    """Packs a feature vector and the number to predict.

    Required keys: ``features`` (D,), ``value``. Added: ``inputs``, a tensor (D,), and ``data_samples``, with
    ``gt_value``, a scalar tensor, and the other keys as its meta information. Nothing else is left.
    """

    def transform(self, results: dict) -> dict:
        info = {key: value for key, value in results.items() if key not in ('features', 'value')}
        value = torch.tensor(results['value'], dtype=torch.float32)
        return dict(
            inputs=torch.as_tensor(results['features'], dtype=torch.float32),
            data_samples=BaseDataElement(metainfo=info, gt_value=value),
        )

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'
