# Images of 32 x 32 in a folder per class, data/cifar10_folder/train/<class>/. Training rotates, shifts, scales and
# flips them by as much as Chang et al. (ICCV 2017) do for CIFAR-10; what comes in at the border is black
_base_ = './mnist10k_28.py'
data_preprocessor = dict(mean=[125.307, 122.961, 113.8575], std=[51.5865, 50.847, 51.255], to_rgb=True)
dataset = dict(_delete_=True, type='CustomDataset', data_root='data/cifar10_folder', data_prefix='train')
augmentation = [
    dict(type='NumpyToPIL'),
    dict(type='torchvision/RandomAffine', degrees=20, translate=(0.18, 0.18), scale=(0.85, 1.15)),
    dict(type='torchvision/RandomHorizontalFlip'),
    dict(type='PILToNumpy'),
]
load, pack = dict(type='LoadImageFromFile'), dict(type='PackInputs')
train_dataloader = dict(dataset=dict(dataset, pipeline=[load, *augmentation, pack]))
val_dataloader = dict(dataset=dict(dataset, pipeline=[load, pack]))
test_dataloader = val_dataloader
