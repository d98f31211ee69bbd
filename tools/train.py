"""Trains a detector: mmdet's own tools/train.py, run after slf_mmdet is imported. Same arguments.

Data sets that mmdet reads without a check are checked before.
"""

import argparse
import runpy

from mmengine.config import Config, DictAction
from mmengine.registry import init_default_scope

from slf_mmdet.datasets.check import check_before_training
from slf_mmdet.paths import get_mmdet_tool
from slf_mmdet.utils.tool_errors import user_errors


def check_data() -> None:
    """Reads the config as mmdet's tool does, which checks the other arguments."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument('config', nargs='?')
    parser.add_argument('--work-dir')
    parser.add_argument('--resume', nargs='?')
    parser.add_argument('--launcher')
    parser.add_argument('--local_rank', '--local-rank')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction)
    args, others = parser.parse_known_args()
    if args.config and not {'-h', '--help'} & set(others):
        cfg = Config.fromfile(args.config)
        cfg.merge_from_dict(args.cfg_options or {})
        init_default_scope(cfg.get('default_scope', 'mmdet'))
        check_before_training(cfg)


if __name__ == '__main__':
    with user_errors('train'):
        check_data()
        runpy.run_path(get_mmdet_tool('train.py'), run_name='__main__')
