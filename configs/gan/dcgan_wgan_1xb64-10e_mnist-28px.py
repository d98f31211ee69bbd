_base_ = './dcgan_non-saturating_1xb64-10e_mnist-28px.py'
model = dict(loss=dict(type='WGANLoss', clip_value=0.01), discriminator_steps=5)
optim_wrapper = dict(
    generator=dict(optimizer=dict(_delete_=True, type='RMSprop', lr=5e-5)),
    discriminator=dict(optimizer=dict(_delete_=True, type='RMSprop', lr=5e-5)),
)
