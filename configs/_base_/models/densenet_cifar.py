# DenseNet-BC for 32 x 32 pixels (Huang et al., CVPR 2017): 100 layers, k = 12. Three blocks of 16 bottlenecks
model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='mmdet.CIFARDenseNet',
        arch=dict(growth_rate=12, depths=[16, 16, 16], init_channels=24),
        init_cfg=dict(type='Kaiming', layer='Conv2d'),
    ),
    head=dict(type='SLFClsHead', _scope_='mmdet', num_classes=10, in_channels=342),
)
