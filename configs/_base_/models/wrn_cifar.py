# WRN-28-10 for 32 x 32 pixels (Zagoruyko & Komodakis, BMVC 2016). A cheap one, WRN-16-4 of 2.7 M parameters:
# depth=16, widen_factor=4, and in_channels=256 in the head
model = dict(
    type='ImageClassifier',
    backbone=dict(type='mmdet.WideResNet', depth=28, widen_factor=10),
    head=dict(type='SLFClsHead', _scope_='mmdet', num_classes=10, in_channels=640),
)
