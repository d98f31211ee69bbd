# Distance in feature maps of SqueezeNet, whose weights torchvision downloads, or a file. Activations are of the order
# of 100, and squared
_base_ = './edsr-slim_l1_1xb16-12e_voc07-224px.py'
squeezenet = dict(type='TorchVisionBackbone', model='squeezenet1_1', weights='IMAGENET1K_V1')
model = dict(
    losses=dict(
        _delete_=True,
        perceptual=dict(
            type='PerceptualLoss',
            network=squeezenet,
            layers={'features.1': 1.0, 'features.5': 0.1},  # 1/2 and, behind pooling, 1/8 of the resolution
            loss_weight=1e-3,
        ),
    )
)
