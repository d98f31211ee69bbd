# Redmon et al., CVPR 2016, section 2.2: 135 epochs, batch 64, learning rate 1e-3 -> 1e-2, 1e-3 after 75, 1e-4 after 105
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=135, val_interval=5)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=True, begin=0, end=3, convert_to_iter_based=True),
    dict(type='MultiStepLR', by_epoch=True, begin=0, end=135, milestones=[75, 105], gamma=0.1),
]

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=0.0005),
    clip_grad=dict(max_norm=35, norm_type=2),
)

# lr is for 8 GPUs x 8 images
auto_scale_lr = dict(enable=False, base_batch_size=64)
