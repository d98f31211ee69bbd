# Distance in the feature maps of SqueezeNet with ImageNet weights (downloaded by torchvision, or a file)
_base_ = './edsr-slim_l1_1xb16-12e_voc07-224px.py'
squeezenet = dict(type='TorchVisionBackbone', model='squeezenet1_1', weights='IMAGENET1K_V1')
model = dict(
    losses=dict(
        _delete_=True,
        perceptual=dict(type='PerceptualLoss', network=squeezenet, layers={'features.1': 1.0, 'features.5': 1.0}),
    )
)
