_base_ = [
    '../_base_/models/dcgan_28.py',
    '../_base_/datasets/mnist_28.py',
    '../_base_/schedules/gan_adam_10e.py',
    '../_base_/gan_runtime.py',
]
model = dict(loss=dict(type='NonSaturatingGANLoss'))
