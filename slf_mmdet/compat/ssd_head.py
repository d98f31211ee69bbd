"""Known issue: mmdet 3.1 to 3.3 read ``loss_cls`` of every anchor head at prediction, and ``SSDHead`` has none.

SSD then trains, but validation and inference end with ``'SSDHead' object has no attribute 'loss_cls'`` (mmdetection
11063 and 11305 in its tracker). With ``None`` the head predicts as in mmdet 3.0.

Can be deleted when mmdet checks that the attribute exists.
"""

import mmdet
from mmengine.utils import digit_version


def apply() -> None:
    """Gives the class an empty ``loss_cls``. Needs mmcv's ops, or their replacement."""
    from mmdet.models.dense_heads import SSDHead

    if digit_version(mmdet.__version__) <= digit_version('3.3.0') and not hasattr(SSDHead, 'loss_cls'):
        SSDHead.loss_cls = None
