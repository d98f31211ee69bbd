_base_ = [
    '../_base_/models/retinanet_efficientnet-lite0.py',
    '../_base_/datasets/voc07_224_flips.py',
    '../_base_/schedules/onecycle_12e.py',
    '../_base_/default_runtime.py',
]
train_dataloader = dict(batch_size=16)
param_scheduler = [
    dict(type='OneCycleLR', eta_max=0.001, pct_start=0.3, total_steps=12, by_epoch=True, convert_to_iter_based=True),
]
optim_wrapper = dict(optimizer=dict(lr=0.001, weight_decay=0.05))
