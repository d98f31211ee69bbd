# Generalised Dice alone: what the boundary loss is compared with
_base_ = [
    '../_base_/models/unet.py',
    '../_base_/datasets/small_digits_96.py',
    '../_base_/schedules/onecycle_20e.py',
    '../_base_/default_runtime.py',
]
