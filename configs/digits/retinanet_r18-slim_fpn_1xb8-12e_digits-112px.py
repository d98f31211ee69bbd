# After 3 epochs seeds differ by 10 mAP
_base_ = './retinanet_r18-slim_fpn_1xb8-3e_digits-112px.py'
train_cfg = dict(max_epochs=12, val_interval=4)
param_scheduler = [
    dict(type='OneCycleLR', eta_max=0.003, pct_start=0.3, total_steps=12, by_epoch=True, convert_to_iter_based=True),
]
