model = dict(
    type='ImageClassifier',
    backbone=dict(type='torch.nn.Flatten'),
    head=dict(type='SLFClsHead', _scope_='mmdet', num_classes=10, in_channels=32 * 32, hidden_channels=(500, 500)),
)
