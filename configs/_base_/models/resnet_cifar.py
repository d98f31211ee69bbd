# ResNet-20 for 32 x 32 pixels (He et al., CVPR 2016, section 4.2); depth=8 and 32 are the others of the paper
model = dict(
    type='ImageClassifier',
    backbone=dict(type='mmdet.CIFARResNet', depth=20),
    head=dict(type='SLFClsHead', _scope_='mmdet', num_classes=10, in_channels=64),
)
