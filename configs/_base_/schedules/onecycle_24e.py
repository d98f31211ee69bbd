# Twice onecycle_12e.py
_base_ = './onecycle_12e.py'
train_cfg = dict(max_epochs=24, val_interval=4)
param_scheduler = [
    dict(type='OneCycleLR', eta_max=0.008, pct_start=0.3, total_steps=24, by_epoch=True, convert_to_iter_based=True),
]
