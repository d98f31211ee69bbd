# The convolutions that Chang et al. (ICCV 2017) take for CIFAR-10, with the normalisations of their network for MNIST
_base_ = './dac_mnist.py'
model = dict(network=dict(in_channels=3, stages=((64, 64), (128, 128))))
