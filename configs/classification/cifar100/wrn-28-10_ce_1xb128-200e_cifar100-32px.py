_base_ = [
    '../../_base_/models/wrn_cifar.py',
    '../../_base_/datasets/cifar100_32.py',
    '../../_base_/schedules/wrn_200e.py',
    '../../_base_/classification_runtime.py',
]
model = dict(head=dict(num_classes=100))
