"""Precision-recall curves of each evaluation."""

import json
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np
from matplotlib.figure import Figure
from mmdet.evaluation.functional import eval_map
from mmengine.dist import collect_results
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from ..utils.checks import is_number, require
from ..utils.files import write_text
from ..utils.pictures import as_rgb

FILE = 'precision_recall.json'
PICTURE = 'precision_recall'
MOST_POINTS = 200


@HOOKS.register_module()
class PrecisionRecallHook(Hook):
    """Keeps the precision-recall curve of each class, of the last evaluation.

    Detections are matched as mmdet's ``VOCMetric`` matches them (``eval_map``). The curves are written to
    ``precision_recall.json`` beside the text log, from where ``slf-mmdet report`` draws them, and drawn as an image in
    the backends of the visualizer, TensorBoard for instance.

    Args:
        iou_thr: in (0, 1), from which a detection is a true positive.
        draw: whether the image is drawn.

    Raises:
        ValueError: ``iou_thr`` is out of its range.
    """

    def __init__(self, iou_thr: float = 0.5, draw: bool = True) -> None:
        right = is_number(iou_thr, 0, 1) and 0 < iou_thr < 1
        require(right, 'PrecisionRecallHook', 'iou_thr', 'in (0, 1)', iou_thr)
        self.iou_thr = float(iou_thr)
        self.draw = draw

    def before_val_epoch(self, runner: Runner) -> None:
        self._classes: Tuple[str, ...] = tuple(runner.val_dataloader.dataset.metainfo['classes'])
        self._images: List[Tuple[List[np.ndarray], Dict[str, np.ndarray]]] = []

    def after_val_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Optional[dict] = None,
        outputs: Optional[Sequence[Any]] = None,
    ) -> None:
        for sample in outputs or ():
            found, true, ignored = sample.pred_instances, sample.gt_instances, sample.ignored_instances
            boxes = np.hstack([_numpy(found.bboxes).reshape(-1, 4), _numpy(found.scores).reshape(-1, 1)])
            labels = _numpy(found.labels)
            annotation = dict(
                bboxes=_numpy(true.bboxes).reshape(-1, 4),
                labels=_numpy(true.labels),
                bboxes_ignore=_numpy(ignored.bboxes).reshape(-1, 4),
                labels_ignore=_numpy(ignored.labels),
            )
            self._images.append(([boxes[labels == i] for i in range(len(self._classes))], annotation))

    def after_val_epoch(self, runner: Runner, metrics: Optional[Dict[str, float]] = None) -> None:
        # Without the images that fill up the last batches of a distributed evaluation
        images = collect_results(self._images, len(runner.val_dataloader.dataset))
        self._images = []
        if not images:  # None in all processes but the first
            return
        detections, annotations = zip(*images)
        _, by_class = eval_map(
            list(detections),
            list(annotations),
            iou_thr=self.iou_thr,
            dataset=self._classes,
            logger='silent',
            nproc=1,
            use_legacy_coordinate=True,
        )
        classes = {name: curve(found) for name, found in zip(self._classes, by_class)}
        content = dict(epoch=runner.epoch, iou_thr=self.iou_thr, classes=classes)
        write_text(Path(runner.log_dir) / FILE, json.dumps(content))
        figure = draw_precision_recall(classes) if self.draw else None
        if figure is not None:
            runner.visualizer.add_image(PICTURE, as_rgb(figure), runner.iter)


def curve(found: Mapping[str, Any]) -> Dict[str, Any]:
    """Average precision and at most 200 points of a class, from what ``eval_map`` returns of it."""
    recall, precision = (np.asarray(found[key], dtype=float).reshape(-1) for key in ('recall', 'precision'))
    kept = np.unique(np.linspace(0, len(recall) - 1, min(len(recall), MOST_POINTS)).round().astype(int))
    return dict(
        ap=float(found['ap']),
        objects=int(found['num_gts']),
        recall=recall[kept].round(5).tolist(),
        precision=precision[kept].round(5).tolist(),
    )


def draw_precision_recall(classes: Mapping[str, Mapping[str, Any]]) -> Optional[Figure]:
    """Precision over recall, a line for each class; ``None`` where nothing was detected.

    Args:
        classes: name -> ``recall`` and ``precision``, each ``(m,)``, by descending score.
    """
    found = {name: (each['recall'], each['precision']) for name, each in classes.items() if each['recall']}
    if not found:
        return None
    figure = Figure(figsize=(8.5, 3.6), layout='constrained')
    axes = figure.subplots()
    for index, (name, (recall, precision)) in enumerate(found.items()):
        axes.plot(
            recall, precision, label=name, linewidth=1, color=f'C{index % 10}', linestyle=('-', '--')[index // 10 % 2]
        )
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel='recall', ylabel='precision')
    axes.legend(loc='upper left', bbox_to_anchor=(1, 1), fontsize='small', ncols=2 if len(found) > 12 else 1)
    axes.grid(alpha=0.3)
    return figure


def _numpy(values: Any) -> np.ndarray:
    return (values.tensor if hasattr(values, 'tensor') else values).detach().cpu().numpy()
