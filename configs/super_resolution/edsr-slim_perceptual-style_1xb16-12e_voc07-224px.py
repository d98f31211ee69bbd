# Besides what an image shows its textures, as in style transfer, and a regulariser against noise
_base_ = './edsr-slim_perceptual_1xb16-12e_voc07-224px.py'
model = dict(
    losses=dict(
        style=dict(
            type='StyleLoss',
            network={{_base_.squeezenet}},
            layers={'features.1': 1.0, 'features.5': 0.01},
            loss_weight=1e-6,
        ),
        tv=dict(type='TotalVariationLoss', loss_weight=0.1),
    )
)
