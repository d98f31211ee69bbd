_base_ = './dcgan_non-saturating_1xb64-10e_mnist-28px.py'
model = dict(loss=dict(type='WGANGPLoss', penalty_weight=10.0), discriminator_steps=5)
optim_wrapper = dict(
    generator=dict(optimizer=dict(lr=1e-4, betas=(0.0, 0.9))),
    discriminator=dict(optimizer=dict(lr=1e-4, betas=(0.0, 0.9))),
)
