"""Publishes a training checkpoint: the plain detector, without balancer and optimizer.

Takes checkpoints of a BalancedDetector, of a YOLOv1 with a balancer in its head, and of plain detectors. The result can
be loaded with the plain detector's config or, since it contains that, by mmdet's DetInferencer without one.

Example:
    slf-mmdet publish work_dirs/slf_retinanet/epoch_12.pth retinanet.pth
"""

import argparse

from .common import command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.add_argument('src', metavar='SRC', help='checkpoint of a training')
    parser.add_argument('dst', metavar='DST', help='checkpoint to write, .pth')


def run(args: argparse.Namespace) -> None:
    """Publishes one checkpoint."""
    from mmengine.runner.checkpoint import CheckpointLoader

    from ..models.darknet_weights import save_checkpoint
    from ..models.publish import publish_checkpoint

    checkpoint = CheckpointLoader.load_checkpoint(args.src, map_location='cpu')
    try:
        published = publish_checkpoint(checkpoint)
    except ValueError as error:
        raise ValueError(f'{args.src}: {error}') from error
    save_checkpoint(published, args.dst)
    left_out = len(checkpoint['state_dict']) - len(published['state_dict'])
    print(f'{args.dst}: {len(published["state_dict"])} tensors; {left_out} of a balancer left out.')


main = command('publish_model', __doc__, add_arguments, run)
