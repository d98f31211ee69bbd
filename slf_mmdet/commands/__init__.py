"""The commands of ``slf-mmdet`` and the tools: one module each, light to import, so that ``--help`` is quick.

A module has ``add_arguments(parser)``, ``run(args)``, which imports what it needs, and ``main(argv=None, prog=None)``.
"""

# Name, which is that of its module -> what it does
COMMANDS = dict(
    train='train a detector',
    test='evaluate a checkpoint',
    compare='train balancers, configs or options over seeds, and print a table',
    probe='measure on a few batches what SLF would do with a detector',
    check='read all data of a config and list what is wrong',
    report='write an HTML report of a run',
    plot='draw loss weights and losses of runs',
    draw='draw detections on test images',
    decisions='draw what a decision network learned',
    benchmark='images per second of detectors',
    publish='turn a training checkpoint into one of the plain detector',
    export='write a YOLOv1 as ONNX',
    convert='convert darknet weights of YOLOv1',
    digits='build the digits-VOC data set',
    digits_idx='write digits of 28 x 28 pixels in the files of MNIST',
    configs='list, find and copy the configs of the package',
    doctor='diagnose the installation',
    version='print versions',
)
