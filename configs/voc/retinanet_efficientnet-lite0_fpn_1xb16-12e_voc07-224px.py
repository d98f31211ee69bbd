# Flips are the only augmentation, so that the maps of the frozen stages can be kept: backbone.cache_dir
_base_ = [
    '../_base_/models/retinanet_efficientnet-lite0.py',
    '../_base_/datasets/voc07_224.py',
    '../_base_/schedules/onecycle_12e.py',
    '../_base_/default_runtime.py',
]
train_pipeline = [
    dict(type='LoadImageFromFile', backend_args=_base_.backend_args),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', scale=_base_.img_scale, keep_ratio=False),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs'),
]
train_dataloader = dict(batch_size=16, dataset=dict(pipeline=train_pipeline))
param_scheduler = [
    dict(type='OneCycleLR', eta_max=0.001, pct_start=0.3, total_steps=12, by_epoch=True, convert_to_iter_based=True),
]
optim_wrapper = dict(optimizer=dict(lr=0.001, weight_decay=0.05))
