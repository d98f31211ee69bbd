# A RetinaNet small enough to train on a CPU in minutes: to compare balancers, not to detect well
_base_ = [
    'mmdet::_base_/models/retinanet_r50_fpn.py',
    '../_base_/datasets/digits_voc_112.py',
    '../_base_/schedules/onecycle_3e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    data_preprocessor=dict(pad_size_divisor=16),
    backbone=dict(
        depth=18,
        base_channels=16,
        frozen_stages=-1,
        norm_eval=False,
        init_cfg=None,
    ),
    neck=dict(in_channels=[16, 32, 64, 128], out_channels=32, num_outs=3),
    bbox_head=dict(
        num_classes=10,
        in_channels=32,
        feat_channels=32,
        stacked_convs=1,
        anchor_generator=dict(octave_base_scale=2, scales_per_octave=2, ratios=[1.0], strides=[8, 16, 32]),
    ),
    test_cfg=dict(nms_pre=200),
)

train_dataloader = dict(batch_size=8)
