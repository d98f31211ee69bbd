_base_ = [
    '../_base_/models/dac_cifar.py',
    '../_base_/datasets/cifar10_folder_32.py',
    '../_base_/schedules/rmsprop_46e.py',
    '../_base_/clustering_runtime.py',
]
