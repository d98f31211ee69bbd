# MNIST at its own size, for generative models: the four idx files, unpacked (gunzip), in data/mnist
_base_ = './mnist_32.py'
pipeline = [dict(type='PackInputs')]
train_dataloader = dict(batch_size=64, drop_last=True, dataset=dict(pipeline=pipeline))
val_dataloader = dict(dataset=dict(pipeline=pipeline))
test_dataloader = val_dataloader

# On the features of a LeNet, which configs/gan/README.md says how to train
val_evaluator = dict(
    _delete_=True,
    type='FrechetDistance',
    backbone=dict(type='LeNet5'),
    checkpoint='work_dirs/lenet_ce_1xb128-20e_mnist-32px/epoch_3.pth',
    mean=_base_.data_preprocessor.mean,
    std=_base_.data_preprocessor.std,
    size=32,
)
test_evaluator = val_evaluator
data_preprocessor = None  # that of the model
