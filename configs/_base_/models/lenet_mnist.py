model = dict(
    type='ImageClassifier',
    backbone=dict(type='LeNet5'),
    head=dict(
        type='SLFClsHead',
        _scope_='mmdet',
        num_classes=10,
        in_channels=120,
        hidden_channels=(84,),
        act_cfg=dict(type='Tanh'),
    ),
)
