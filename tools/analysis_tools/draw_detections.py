"""Draws test images with predicted and ground-truth boxes, as one picture."""

import argparse
import math
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use('Agg')
import matplotlib.pyplot as plt
import mmcv
import torch
from matplotlib.patches import Rectangle
from mmengine.config import Config
from mmengine.dataset import pseudo_collate

import slf_mmdet  # noqa: F401
from slf_mmdet.utils.tool_errors import user_errors


def draw_boxes(axes: Any, instances: Any, classes: tuple, color: str, style: str) -> None:
    for i, (x1, y1, x2, y2) in enumerate(instances.bboxes.tolist()):
        axes.add_patch(
            Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=color, linestyle=style, linewidth=1.5)
        )
        label = classes[int(instances.labels[i])]
        if 'scores' in instances:
            axes.text(x1, y1 - 2, f'{label} {instances.scores[i]:.2f}', color=color, fontsize=7)
        else:
            axes.text(x2, y2 + 2, label, color=color, fontsize=7, ha='right', va='top')


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config')
    parser.add_argument('checkpoint')
    parser.add_argument('--out', type=Path, default=Path('detections.png'), help='picture to write')
    parser.add_argument('--num', type=int, default=12, help='number of test images')
    parser.add_argument('--score-thr', type=float, default=0.3, help='minimum score of the boxes that are drawn')
    args = parser.parse_args()

    from mmdet.apis import init_detector
    from mmdet.registry import DATASETS

    detector = init_detector(args.config, args.checkpoint, device='cuda' if torch.cuda.is_available() else 'cpu')
    dataset = DATASETS.build(Config.fromfile(args.config).test_dataloader.dataset)
    classes = dataset.metainfo['classes']

    columns = min(args.num, 4)
    rows = math.ceil(args.num / columns)
    figure, grid = plt.subplots(rows, columns, figsize=(3 * columns, 3 * rows), squeeze=False, constrained_layout=True)
    for axes in grid.flat:
        axes.axis('off')
    for axes, index in zip(grid.flat, range(min(args.num, len(dataset)))):
        with torch.no_grad():
            sample = detector.test_step(pseudo_collate([dataset[index]]))[0].cpu()
        axes.imshow(mmcv.imread(sample.img_path, channel_order='rgb'))
        # Test pipelines of mmdet load annotations after resizing: both kinds of boxes are in original pixels
        draw_boxes(axes, sample.gt_instances, classes, 'lime', '--')
        found = sample.pred_instances
        draw_boxes(axes, found[found.scores >= args.score_thr], classes, 'red', '-')
    figure.suptitle('predictions (red), ground truth (green, dashed)')
    args.out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(args.out, dpi=110)
    print(f'Detections drawn: {args.out}')


if __name__ == '__main__':
    with user_errors('draw_detections'):
        main()
