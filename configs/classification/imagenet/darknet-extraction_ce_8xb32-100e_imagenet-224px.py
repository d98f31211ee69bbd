_base_ = [
    'mmpretrain::_base_/datasets/imagenet_bs32.py',
    'mmpretrain::_base_/schedules/imagenet_bs256.py',
    '../../_base_/classification_runtime.py',
]
data_preprocessor = dict(mean=[0, 0, 0], std=[255, 255, 255])  # what the detectors' backbones are fed
model = dict(
    type='ImageClassifier',
    backbone=dict(type='mmdet.YOLOV1Darknet', arch='extraction'),
    head=dict(type='SLFClsHead', _scope_='mmdet', num_classes=1000, in_channels=1024),
)
optim_wrapper = dict(optimizer=dict(weight_decay=5e-4))  # darknet's
