# The network of Chang et al. (ICCV 2017) for CIFAR-10
_base_ = './dac_mnist.py'
model = dict(network=dict(in_channels=3, stages=((64, 64), (128, 128))))
