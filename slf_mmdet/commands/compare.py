"""Compares balancers, configs or options: trains and evaluates every arm with every seed, and prints a table.

Examples:
    slf-mmdet compare CONFIG --balancers static slf "p=slf(sampler=dict(type='Softmax'))" --seeds 0 1 2 --jobs 2
    slf-mmdet compare CONFIG --balancers static slf --parts cls=loss_cls "rpn=loss_rpn_.*" box=loss_bbox,loss_iou
    slf-mmdet compare CONFIG --configs OTHER_CONFIG third=THIRD_CONFIG
    slf-mmdet compare CONFIG --vary model.head.loss.sampler.num_samples={1..10} 'lr: optim_wrapper.optimizer.lr=1'

An arm is a balancer, a config or a set of options. The others are compared with the first one, seed by seed. The same
command continues a comparison that was interrupted.
"""

import argparse
import sys
from pathlib import Path

from .common import WrongArguments, add_cfg_options, command, options_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.add_argument('config')
    parser.add_argument(
        '--balancers',
        nargs='+',
        metavar='NAME',
        help="slf, 'slf(kl_weight=1)', 'label=slf(...)', or config for the balancer that the config has "
        '(default: static slf, if neither --configs nor --vary is given)',
    )
    parser.add_argument(
        '--parts',
        nargs='+',
        metavar='PART=LOSS',
        help='what the balancers weigh, if the model is a detector without a balancer of its own: for each part keys '
        'of losses, or regular expressions that match them, separated by commas (default: each loss is a part)',
    )
    parser.add_argument('--configs', nargs='+', default=[], metavar='[LABEL=]CONFIG', help='other configs')
    parser.add_argument(
        '--vary',
        nargs='+',
        default=[],
        metavar='OPTIONS',
        help="options of the config for one arm: key=value, or 'label: key=value key=value'",
    )
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2])
    parser.add_argument('--work-dir', type=Path, help='default: work_dirs/compare/CONFIG')
    parser.add_argument('--jobs', type=int, help='runs at a time (default: 1; with --engine ray, all)')
    parser.add_argument(
        '--engine',
        choices=['local', 'ray'],
        default='local',
        help='where the runs are computed: processes of this machine, or tasks of a Ray cluster',
    )
    parser.add_argument('--cpus', type=float, default=1, help='of each run on a Ray cluster')
    parser.add_argument('--gpus', type=float, default=0, help='of each run on a Ray cluster; 0.5 lets two share one')
    parser.add_argument('--ray-address', metavar='HOST:PORT', help='of the Ray cluster (default: RAY_ADDRESS)')
    parser.add_argument('--metric', help="key of the evaluator's metrics (default: the mAP, or the first one)")
    parser.add_argument(
        '--rule',
        choices=['greater', 'less'],
        help='whether a greater or a smaller metric is better (default: less if its name has "loss", "distance", '
        '"error", "hausdorff" or "perplexity", else greater)',
    )
    parser.add_argument(
        '--weights',
        choices=['grid', 'search'],
        help='add an arm of tuned static weights: each halved and doubled, or a search by Optuna',
    )
    parser.add_argument('--trials', type=int, default=8, help='number of weights that --weights search tries')
    parser.add_argument(
        '--tune-seeds', nargs='+', type=int, default=[1000], help='seeds for the tuning, which are not reported'
    )
    parser.add_argument(
        '--held-out',
        type=float,
        metavar='SHARE',
        help='train on the other training images and evaluate on this share of them: for choices of settings, which '
        'then do not look at the images of validation and test',
    )
    parser.add_argument('--report-only', action='store_true', help='only print the table of the finished runs')
    add_cfg_options(parser, 'every config')


def run(args: argparse.Namespace) -> int:
    """Trains what is missing and prints the table."""
    if args.jobs is not None and args.jobs < 1:
        raise WrongArguments(f'--jobs must be >= 1, found {args.jobs}')
    from ..comparison.command import compare

    try:
        return compare(args, options_of(args.cfg_options))
    except KeyboardInterrupt:
        sys.exit('Interrupted. The same command continues where it stopped.')


main = command('compare', __doc__, add_arguments, run)
