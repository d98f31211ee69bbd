# Trained to where its curve is flat; after 12 epochs it still rises
_base_ = [
    '../_base_/models/yolov1_nano.py',
    '../_base_/datasets/digits_voc_112.py',
    '../_base_/schedules/onecycle_24e.py',
    '../_base_/default_runtime.py',
]

default_hooks = dict(logger=dict(interval=25))
