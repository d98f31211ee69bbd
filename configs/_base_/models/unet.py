# A U-Net of 30,000 parameters with generalised Dice, which trains on one CPU
model = dict(
    type='SemanticSegmentor',
    data_preprocessor=dict(
        type='DetDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_seg=True,
    ),
    backbone=dict(type='UNet', base_channels=8, num_stages=3),
    num_classes=2,
    in_channels=8,
    losses=dict(dice=dict(type='GeneralizedDiceLoss')),
)
