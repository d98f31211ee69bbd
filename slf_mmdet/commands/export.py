"""Exports a YOLOv1 detector to ONNX: pixels in, boxes and scores out.

    input   image   (N, 3, H, W)  float32, 0 to 255, BGR, resized to the network's input
    output  boxes   (N, M, 4)     x1, y1, x2, y2 as fractions of the image
            scores  (N, M, C)     of every class; M = 98 for 7 x 7 cells of two boxes

Normalisation is part of the graph. A score threshold and NMS within each class are left to the caller, see
``docs/deployment.md``. Needs the extra ``onnx``: pip install "slf-mmdet[onnx]"

Example:
    slf-mmdet export configs/yolov1/yolov1_d9_8xb8-135e_voc0712-448px.py epoch_135.pth \
        --out fast_yolo.onnx --check
"""

import argparse
from pathlib import Path

from .common import add_cfg_options, command, options_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.add_argument('config', metavar='CONFIG', help='config of the detector')
    parser.add_argument('checkpoint', metavar='CHECKPOINT', nargs='?', help='its weights (default: random ones)')
    parser.add_argument('--out', type=Path, required=True, help='file to write, .onnx')
    parser.add_argument(
        '--check', action='store_true', help='compare onnxruntime with PyTorch to 1e-4, and their speed'
    )
    add_cfg_options(parser, 'the config')


def run(args: argparse.Namespace) -> None:
    """Exports one detector."""
    from ..models.onnx_export import OUTPUTS, build_model, check, export

    model, image = build_model(args.config, args.checkpoint, options_of(args.cfg_options))
    export(model, image, args.out)
    print(f'{args.out}: image {tuple(image.shape)} -> {", ".join(OUTPUTS)}')
    if args.check:
        check(model, image, args.out)


main = command('export_onnx', __doc__, add_arguments, run)
