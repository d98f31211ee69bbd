# WRN-28-10 for 32 x 32 pixels (Zagoruyko & Komodakis, BMVC 2016). depth=16, widen_factor=4 and the head's in_channels=256
# make one with a thirteenth of its parameters
model = dict(
    type='ImageClassifier',
    backbone=dict(type='mmdet.WideResNet', depth=28, widen_factor=10),
    head=dict(type='SLFClsHead', _scope_='mmdet', num_classes=10, in_channels=640),
)
