# Generator and discriminator for grey images of 28 x 28: 0.23 and 0.04 million parameters
model = dict(
    type='GAN',
    _scope_='mmdet',
    data_preprocessor=dict(type='ImgDataPreprocessor', mean=[127.5], std=[127.5]),
    generator=dict(type='DCGANGenerator', image_size=28),
    discriminator=dict(type='DCGANDiscriminator', image_size=28),
)
model_wrapper_cfg = dict(type='MMSeparateDistributedDataParallel')
