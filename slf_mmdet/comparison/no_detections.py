"""What a metric is when a run detected nothing: some evaluators return no value at all then."""

from typing import Any, Dict, Mapping

from mmdet.evaluation import CocoMetric
from mmengine.evaluator import Evaluator

AVERAGE_PRECISIONS = ('mAP', 'mAP_50', 'mAP_75', 'mAP_s', 'mAP_m', 'mAP_l')


def with_zeros(metrics: Mapping[str, Any], evaluator: Evaluator) -> Dict[str, Any]:
    """The metrics of an evaluation, with the zeros that mmdet's COCO metrics leave out where nothing was detected.

    ``CocoMetric`` and the metrics that inherit from it (LVIS, for instance) return nothing for a data set without a
    single detection. The average precision of no detections is 0.

    Args:
        metrics: what the evaluation returned.
        evaluator: of the run.

    Returns:
        The metrics, with 0 for the average precisions of boxes or masks that are not among them.
    """
    completed = dict(metrics)
    for metric in evaluator.metrics:
        if not isinstance(metric, CocoMetric) or metric.format_only:
            continue
        prefix = f'{metric.prefix}/' if metric.prefix else ''
        for kind in [kind for kind in metric.metrics if kind in ('bbox', 'segm')]:
            if not any(key.startswith(f'{prefix}{kind}_') for key in metrics):
                items = metric.metric_items or AVERAGE_PRECISIONS
                completed.update({f'{prefix}{kind}_{item}': 0.0 for item in items})
    return completed
