# CIFAR-10: the folder cifar-10-batches-py in data/cifar10; crops after padding by 4, flips
_base_ = 'mmpretrain::_base_/datasets/cifar10_bs16.py'
train_dataloader = dict(batch_size=128, persistent_workers=True, dataset=dict(download=False))
val_dataloader = dict(batch_size=500, persistent_workers=True, dataset=dict(download=False))
test_dataloader = val_dataloader
