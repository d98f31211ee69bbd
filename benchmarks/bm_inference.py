"""A detector from array to boxes, image by image, against its network alone.

End to end is what ``mmdet.apis.inference_detector`` does: the test pipeline of the config, normalisation, network,
decoding and NMS. The network alone gets a preprocessed tensor. A detector trained with SLF runs the same code: with the
same weights its boxes must be bit-equal.

Weights are random, with biases of the output layer so large that many boxes pass the threshold and go through NMS.

Example:
    python benchmarks/bm_inference.py --model yolov1_d9_8xb8-135e_voc0712-448px --rounds 20
"""

from functools import partial
from typing import Callable, Dict

import numpy as np
import torch
from mmcv.transforms import Compose
from mmdet.utils import get_test_pipeline_cfg
from random_batch import build, read_config
from side_by_side import milliseconds, parser, prepare, ratio, show, side_by_side
from torch import nn

NETWORK, STATIC, SLF = 'network', 'detector', 'detector trained with SLF'


def main() -> None:
    """Prints one table."""
    from mmdet.apis import inference_detector  # needs the ops that slf_mmdet provides

    made = parser(__doc__, rounds=60)
    made.add_argument('--model', default='yolov1_nano_1xb16-12e_digits-112px', help='a config of configs/yolov1')
    args = made.parse_args()
    device = prepare(args)
    cfg = read_config(f'yolov1/{args.model}.py')
    detector = build(cfg, device).eval()
    nn.init.normal_(detector.bbox_head.layers[-1].bias)  # some boxes are confident
    cfg.model.bbox_head.loss_balancer = dict(type='SLFBalancer')
    with_slf = build(cfg, device).eval()
    with_slf.load_state_dict(detector.state_dict(), strict=False)
    detector.cfg = with_slf.cfg = cfg

    width, height = cfg.img_scale
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    pipeline_cfg = get_test_pipeline_cfg(cfg)
    pipeline_cfg[0].type = 'mmdet.LoadImageFromNDArray'
    pipeline = Compose(pipeline_cfg)
    found = {model: inference_detector(model, image, pipeline).pred_instances for model in (detector, with_slf)}
    for key in ('bboxes', 'scores', 'labels'):
        assert torch.equal(found[detector][key], found[with_slf][key]), f'SLF changes the {key} of a detection'

    inputs = torch.rand(1, 3, height, width, device=device)
    variants: Dict[str, Callable[[], object]] = {
        NETWORK: torch.no_grad()(partial(detector, inputs)),
        STATIC: partial(inference_detector, detector, image, pipeline),
        SLF: partial(inference_detector, with_slf, image, pipeline),
    }
    seconds = side_by_side(variants, args.rounds, device)
    rows = [(name, milliseconds(seconds[name]), ratio(seconds, NETWORK, name)) for name in variants]
    title = f'Inference, {args.model}, batch 1, {len(found[detector])} boxes, {args.rounds} rounds'
    show(title, ('what', 'ms', 'images per second, over the network'), rows, device)


if __name__ == '__main__':
    main()
