# A Mask R-CNN small enough to train on a CPU in minutes: to compare balancers, not to segment well
_base_ = [
    'mmdet::_base_/models/mask-rcnn_r50_fpn.py',
    '../_base_/datasets/digits_coco_112.py',
    '../_base_/schedules/onecycle_12e.py',
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
    neck=dict(in_channels=[16, 32, 64, 128], out_channels=32, num_outs=4),
    rpn_head=dict(
        in_channels=32,
        feat_channels=32,
        anchor_generator=dict(scales=[4], ratios=[1.0], strides=[4, 8, 16, 32]),
    ),
    roi_head=dict(
        bbox_roi_extractor=dict(
            roi_layer=dict(output_size=5, sampling_ratio=2),
            out_channels=32,
            featmap_strides=[4, 8, 16],
            finest_scale=14,
        ),
        bbox_head=dict(in_channels=32, fc_out_channels=128, roi_feat_size=5, num_classes=10),
        mask_roi_extractor=dict(
            roi_layer=dict(output_size=7, sampling_ratio=2),
            out_channels=32,
            featmap_strides=[4, 8, 16],
            finest_scale=14,
        ),
        mask_head=dict(num_convs=2, in_channels=32, conv_out_channels=32, num_classes=10),
    ),
    train_cfg=dict(
        rpn=dict(sampler=dict(num=64)),
        rpn_proposal=dict(nms_pre=200, max_per_img=64),
        rcnn=dict(sampler=dict(num=32), mask_size=14),
    ),
    test_cfg=dict(rpn=dict(nms_pre=200, max_per_img=64)),
)
train_dataloader = dict(batch_size=8)
param_scheduler = [
    dict(type='OneCycleLR', eta_max=0.003, pct_start=0.3, total_steps=12, by_epoch=True, convert_to_iter_based=True),
]
optim_wrapper = dict(optimizer=dict(lr=0.003))
auto_scale_lr = dict(base_batch_size=8)
