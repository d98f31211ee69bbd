# MNIST of which a rising share of the images is kept: min_retention of class 0, all of class 9
_base_ = './mnist_32.py'
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='mmdet.ClassImbalancedDataset',
        min_retention=0.1,
        dataset=_base_.train_dataloader.dataset,
    )
)
