"""The commands of ``slf-mmdet`` and the tools: one module each, light to import, so that ``--help`` is quick.

A module has ``add_arguments(parser)``, ``run(args)``, which imports what it needs, and ``main(argv=None, prog=None)``.
"""

from typing import NamedTuple


class Command(NamedTuple):
    """Where a command is and what it does, in a few words."""

    module: str
    summary: str


COMMANDS = dict(
    train=Command('train', 'train a detector'),
    test=Command('test', 'evaluate a checkpoint'),
    compare=Command('compare', 'train balancers, configs or options over seeds, and print a table'),
    check=Command('check', 'read all data of a config and list what is wrong'),
    report=Command('report', 'write an HTML report of a run'),
    plot=Command('plot', 'draw loss weights and losses of runs'),
    draw=Command('draw', 'draw detections on test images'),
    decisions=Command('decisions', 'draw what a decision network learned'),
    benchmark=Command('benchmark', 'images per second of detectors'),
    publish=Command('publish', 'turn a training checkpoint into one of the plain detector'),
    export=Command('export', 'write a YOLOv1 as ONNX'),
    convert=Command('convert', 'convert darknet weights of YOLOv1'),
    digits=Command('digits', 'build the digits-VOC data set'),
    configs=Command('configs', 'list, find and copy the configs of the package'),
    doctor=Command('doctor', 'diagnose the installation'),
    version=Command('version', 'print versions'),
)
