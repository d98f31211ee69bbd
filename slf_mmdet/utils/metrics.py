"""Which metric a run is judged by, and whether a greater or a smaller value of it is better."""

from typing import Iterable, Optional

_LESS = ('loss', 'distance', 'error', 'hausdorff', 'perplexity')


def rule_of(metric: str) -> str:
    """``'less'`` for a metric whose name says so, else ``'greater'``.

    Examples:
        >>> rule_of('frechet_distance'), rule_of('coco/bbox_mAP')
        ('less', 'greater')
    """
    return 'less' if any(word in metric.lower() for word in _LESS) else 'greater'


def main_metric(keys: Iterable[str]) -> Optional[str]:
    """The first key that ends with mAP, else the first; ``None`` without any.

    Examples:
        >>> main_metric(['pascal_voc/AP50', 'pascal_voc/mAP']), main_metric(['seg/dice', 'seg/hausdorff'])
        ('pascal_voc/mAP', 'seg/dice')
    """
    found = list(keys)
    return next((key for key in found if key.endswith('mAP')), found[0] if found else None)
