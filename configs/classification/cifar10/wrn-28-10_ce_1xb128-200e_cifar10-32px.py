_base_ = [
    '../../_base_/models/wrn_cifar.py',
    '../../_base_/datasets/cifar10_32.py',
    '../../_base_/schedules/wrn_200e.py',
    '../../_base_/classification_runtime.py',
]
