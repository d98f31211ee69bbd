# Trained to where its curve is flat
_base_ = './retinanet_r18-slim_fpn_1xb8-12e_digits-112px.py'
train_cfg = dict(max_epochs=24)
param_scheduler = [
    dict(type='OneCycleLR', eta_max=0.003, pct_start=0.3, total_steps=24, by_epoch=True, convert_to_iter_based=True),
]
