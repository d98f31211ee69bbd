"""A picture of test images with predicted and ground-truth boxes."""

import math
from typing import Any

import matplotlib

matplotlib.use('Agg')
import matplotlib.pyplot as plt
import mmcv
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from mmengine.config import Config
from mmengine.dataset import pseudo_collate


def draw_detections(config: str, checkpoint: str, num: int, score_thr: float) -> Figure:
    """Draws the first test images of a config.

    Args:
        config: config file.
        checkpoint: of the detector.
        num: number of images.
        score_thr: smallest score of a box that is drawn.
    """
    from mmdet.apis import init_detector
    from mmdet.registry import DATASETS

    detector = init_detector(config, checkpoint, device='cuda' if torch.cuda.is_available() else 'cpu')
    dataset = DATASETS.build(Config.fromfile(config).test_dataloader.dataset)
    classes = dataset.metainfo['classes']
    columns = min(num, 4)
    rows = math.ceil(num / columns)
    figure, grid = plt.subplots(rows, columns, figsize=(3 * columns, 3 * rows), squeeze=False, constrained_layout=True)
    for axes in grid.flat:
        axes.axis('off')
    for axes, index in zip(grid.flat, range(min(num, len(dataset)))):
        with torch.no_grad():
            sample = detector.test_step(pseudo_collate([dataset[index]]))[0].cpu()
        axes.imshow(mmcv.imread(sample.img_path, channel_order='rgb'))
        # Test pipelines of mmdet load annotations after resizing: both kinds of boxes are in original pixels
        _draw_boxes(axes, sample.gt_instances, classes, 'lime', '--')
        found = sample.pred_instances
        _draw_boxes(axes, found[found.scores >= score_thr], classes, 'red', '-')
    figure.suptitle('predictions (red), ground truth (green, dashed)')
    return figure


def _draw_boxes(axes: Any, instances: Any, classes: tuple, color: str, style: str) -> None:
    for i, (x1, y1, x2, y2) in enumerate(instances.bboxes.tolist()):
        axes.add_patch(
            Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=color, linestyle=style, linewidth=1.5)
        )
        label = classes[int(instances.labels[i])]
        if 'scores' in instances:
            axes.text(x1, y1 - 2, f'{label} {instances.scores[i]:.2f}', color=color, fontsize=7)
        else:
            axes.text(x2, y2 + 2, label, color=color, fontsize=7, ha='right', va='top')
