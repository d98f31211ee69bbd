"""The training pipeline of a config against decoding and resizing alone, in images per second of one worker.

Images are smooth random JPEGs of the size of those of PASCAL VOC (500 x 375, about 60 kB) with three objects each. The
rows in between add one transform each.

Example:
    python benchmarks/bm_data.py --model yolov1_d9_8xb8-135e_voc0712-448px
"""

import copy
import tempfile
from pathlib import Path
from typing import Any, Callable, Dict, List

import cv2
import numpy as np
import torch
from mmcv.transforms import Compose
from mmdet.registry import TRANSFORMS
from random_batch import read_config
from side_by_side import milliseconds, parser, prepare, ratio, show, side_by_side

WIDTH, HEIGHT, NUM_OBJECTS = 500, 375, 3
FLOOR = 'decode, resize'
CPU = torch.device('cpu')


def draw_images(folder: Path, number: int) -> List[Dict[str, Any]]:
    """Writes images and returns their data infos."""
    rng = np.random.default_rng(0)
    infos = []
    for index in range(number):
        path = folder / f'{index}.jpg'
        smooth = cv2.resize(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8), (WIDTH, HEIGHT))
        grain = rng.normal(0, 6, smooth.shape)
        cv2.imwrite(str(path), np.clip(smooth + grain, 0, 255).astype(np.uint8))
        corners = np.sort(rng.random((NUM_OBJECTS, 2, 2)), axis=1) * (WIDTH, HEIGHT)
        instances = [dict(bbox=box.ravel().tolist(), bbox_label=0, ignore_flag=0) for box in corners]
        infos.append(dict(img_path=str(path), img_id=index, height=HEIGHT, width=WIDTH, instances=instances))
    return infos


def main() -> None:
    """Prints one table."""
    made = parser(__doc__, rounds=20)
    made.add_argument('--model', default='yolov1_d9_8xb8-135e_voc0712-448px', help='a config of configs/yolov1')
    made.add_argument('--images', type=int, default=20, help='read in each round')
    args = made.parse_args()
    prepare(args)
    cv2.setNumThreads(0)  # as in a worker, see mp_cfg of the configs
    cfg = read_config(f'yolov1/{args.model}.py')
    transforms = [(step['type'], TRANSFORMS.build(step)) for step in cfg.train_pipeline]
    kinds = [kind for kind, _ in transforms]
    floor = Compose([transforms[kinds.index(kind)][1] for kind in ('LoadImageFromFile', 'Resize')])
    pipelines = {FLOOR: floor}
    for end in range(kinds.index('Resize') + 1, len(transforms) + 1):
        name = f'... {kinds[end - 1]}' if end < len(transforms) else 'whole pipeline'
        pipelines[name] = Compose([transform for _, transform in transforms[:end]])

    with tempfile.TemporaryDirectory() as folder:
        infos = draw_images(Path(folder), 2 if args.quick else args.images)

        def read(pipeline: Compose) -> None:
            for info in infos:
                pipeline(copy.deepcopy(info))

        variants: Dict[str, Callable[[], object]] = {
            name: lambda pipeline=pipeline: read(pipeline)  # type: ignore[misc]
            for name, pipeline in pipelines.items()
        }
        seconds = side_by_side(variants, args.rounds, CPU)
    per_image = {name: [value / len(infos) for value in values] for name, values in seconds.items()}
    rows = [(name, milliseconds(per_image[name]), ratio(seconds, FLOOR, name)) for name in pipelines]
    title = f'Training pipeline, {args.model}, {args.rounds} rounds of {len(infos)} images'
    show(title, ('up to', 'ms per image', 'images per second, over decode + resize'), rows, CPU)


if __name__ == '__main__':
    main()
