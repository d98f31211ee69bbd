"""Whether a greater or a smaller value of a metric is better."""

_LESS = ('loss', 'distance', 'error', 'hausdorff', 'perplexity')


def rule_of(metric: str) -> str:
    """``'less'`` for a metric whose name says so, else ``'greater'``.

    Examples:
        >>> rule_of('frechet_distance'), rule_of('coco/bbox_mAP')
        ('less', 'greater')
    """
    return 'less' if any(word in metric.lower() for word in _LESS) else 'greater'
