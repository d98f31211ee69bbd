# The network of Chang et al. (ICCV 2017) for MNIST
model = dict(
    type='DeepAdaptiveClusterer',
    _scope_='mmdet',
    network=dict(type='DACNetwork', num_clusters=10, in_channels=1, stages=((64, 64, 64), (128, 128, 128))),
    loss=dict(type='CrossEntropyLoss'),
)
