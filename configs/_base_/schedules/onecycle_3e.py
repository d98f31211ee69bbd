# A quarter of onecycle_12e.py, batch 8
_base_ = './onecycle_12e.py'
train_cfg = dict(max_epochs=3, val_interval=3)
param_scheduler = [
    dict(type='OneCycleLR', eta_max=0.003, pct_start=0.3, total_steps=3, by_epoch=True, convert_to_iter_based=True),
]
optim_wrapper = dict(optimizer=dict(lr=0.003))
auto_scale_lr = dict(base_batch_size=8)
