# The subset of MNIST of which a rising share of the images is kept: min_retention of class 0, all of class 9
_base_ = './mnist10k_28.py'
dataset = dict(_delete_=True, type='mmdet.ClassImbalancedDataset', min_retention=0.1, dataset=_base_.dataset)
train_dataloader = dict(dataset=dataset)
val_dataloader = dict(dataset=dataset)
test_dataloader = val_dataloader
