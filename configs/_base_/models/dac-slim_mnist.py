# A quarter of the channels: for a CPU
_base_ = './dac_mnist.py'
model = dict(network=dict(stages=((16, 16, 16), (32, 32, 32))))
