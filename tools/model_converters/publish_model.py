"""Publishes a training checkpoint: the plain detector, without balancer and optimizer.

Takes checkpoints of a BalancedDetector, of a YOLOv1 with a balancer in its head, and of plain detectors. The result can
be loaded with the plain detector's config or, since it contains that, by mmdet's DetInferencer without one.

Example:
    python tools/model_converters/publish_model.py work_dirs/slf_retinanet/epoch_12.pth retinanet.pth
"""

import argparse
from collections.abc import Sequence
from typing import Optional

import torch

from slf_mmdet.models.darknet_weights import save_checkpoint
from slf_mmdet.models.publish import publish_checkpoint
from slf_mmdet.utils.tool_errors import user_errors


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('src', metavar='SRC', help='checkpoint of a training')
    parser.add_argument('dst', metavar='DST', help='checkpoint to write, .pth')
    return parser.parse_args(argv)


@user_errors('publish_model')
def main(argv: Optional[Sequence[str]] = None) -> None:
    """Publishes one checkpoint."""
    args = parse_args(argv)
    checkpoint = torch.load(args.src, map_location='cpu', weights_only=True)
    try:
        published = publish_checkpoint(checkpoint)
    except ValueError as error:
        raise ValueError(f'{args.src}: {error}') from error
    save_checkpoint(published, args.dst)
    left_out = len(checkpoint['state_dict']) - len(published['state_dict'])
    print(f'{args.dst}: {len(published["state_dict"])} tensors; {left_out} of a balancer left out.')


if __name__ == '__main__':
    main()
