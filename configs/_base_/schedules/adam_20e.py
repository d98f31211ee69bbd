# Networks of a few million parameters from scratch: Adam with a short warm-up, then cosine
train_cfg = dict(by_epoch=True, max_epochs=20, val_interval=1)
val_cfg = dict()
test_cfg = dict()
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=400),
    dict(type='CosineAnnealingLR', by_epoch=True, begin=0, T_max=20, end=20, convert_to_iter_based=True),
]
optim_wrapper = dict(optimizer=dict(type='Adam', lr=1e-3), clip_grad=dict(max_norm=1.0))
auto_scale_lr = dict(enable=False, base_batch_size=128)
