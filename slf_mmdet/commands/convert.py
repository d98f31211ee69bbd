"""Converts YOLOv1 weights of darknet into a checkpoint of this project.

============ ============================================= =====================================
KIND         SRC                                           what DST is for
============ ============================================= =====================================
extraction   extraction.weights, extraction.conv.weights   init_cfg of the backbone YOLOV1Darknet
yolov1       yolov1.weights, of darknet's cfg/yolov1.cfg   load_from of the detector YOLOV1
tiny-yolov1  tiny-yolov1.weights, of cfg/yolov1-tiny.cfg   load_from of the detector YOLOV1
============ ============================================= =====================================

When the tool reports biased convolutions (files of 2015), the backbone needs norm_cfg=None.
The networks read RGB images divided by 255: give the data_preprocessor mean=[0, 0, 0],
std=[255, 255, 255] and bgr_to_rgb=True.

Example:
    slf-mmdet convert extraction extraction.weights extraction.pth
"""

import argparse

from .common import command

KINDS = ('extraction', 'yolov1', 'tiny-yolov1')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.add_argument('kind', metavar='KIND', choices=KINDS, help=', '.join(KINDS))
    parser.add_argument('src', metavar='SRC', help='weight file of darknet')
    parser.add_argument('dst', metavar='DST', help='checkpoint to write, .pth')
    parser.add_argument('--num-classes', type=int, default=20, help='of a detector (default: 20, PASCAL VOC)')


def run(args: argparse.Namespace) -> None:
    """Converts one file."""
    from ..models.darknet_weights import KINDS, convert_weights, save_checkpoint

    checkpoint = convert_weights(args.src, KINDS[args.kind](args.num_classes))
    save_checkpoint(checkpoint, args.dst)
    meta = checkpoint['meta']
    print(f'{args.dst}: {meta["layout"]}, after {meta["images_seen"]:,} images.')


main = command('darknet_to_mmdet', __doc__, add_arguments, run)
