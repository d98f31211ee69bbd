"""Trap: mmdet 3.1 to 3.3 ask every anchor head for its ``loss_cls`` when it predicts, and ``SSDHead`` has none.

SSD then trains, but validation and inference end with ``'SSDHead' object has no attribute 'loss_cls'`` (mmdetection
11063 and 11305 in its tracker). With ``None`` the head takes the way that it took before.

Can be deleted when mmdet looks for the attribute before it uses it.
"""

import mmdet
from mmengine.utils import digit_version


def apply() -> None:
    """Gives the class an empty ``loss_cls``. Needs mmcv's ops, or what stands in for them."""
    from mmdet.models.dense_heads import SSDHead

    if digit_version(mmdet.__version__) <= digit_version('3.3.0') and not hasattr(SSDHead, 'loss_cls'):
        SSDHead.loss_cls = None
