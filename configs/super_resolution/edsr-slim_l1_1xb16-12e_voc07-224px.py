# Distance of pixels alone: what the perceptual loss is compared with
_base_ = [
    '../_base_/models/edsr_slim.py',
    '../_base_/datasets/voc07_224_images.py',
    '../_base_/schedules/onecycle_12e.py',
    '../_base_/default_runtime.py',
]
model = dict(losses=dict(pixel=dict(type='L1Loss')))

# Of a network that no config here trains with. Weights: the file that configs/voc names
val_evaluator = dict(
    type='RestorationMetric',
    distances=dict(
        efficientnet=dict(
            type='PerceptualLoss',
            network=dict(
                type='EfficientNetBackbone',
                model='tf_efficientnet_lite0',
                weights='data/efficientnet_lite0_features_rgb_fp16.pth',
            ),
            layers={'blocks.0': 1.0, 'blocks.1': 1.0, 'blocks.2': 1.0},
            mean=[127.0] * 3,
            std=[128.0] * 3,
        )
    ),
)
test_evaluator = val_evaluator
custom_hooks = [dict(type='RestoredPicturesHook')]

param_scheduler = [
    dict(type='OneCycleLR', eta_max=0.001, pct_start=0.3, total_steps=12, by_epoch=True, convert_to_iter_based=True),
]
optim_wrapper = dict(optimizer=dict(lr=0.001))
