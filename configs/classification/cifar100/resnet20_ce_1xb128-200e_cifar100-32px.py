_base_ = [
    '../../_base_/models/resnet_cifar.py',
    '../../_base_/datasets/cifar100_32.py',
    'mmpretrain::_base_/schedules/cifar10_bs128.py',
    '../../_base_/classification_runtime.py',
]
model = dict(head=dict(num_classes=100))
