# MNIST with few zeros, all nines and the other digits in proportion; the test images are all there
_base_ = './mnist_32.py'
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='mmdet.ClassImbalancedDataset',
        min_retention=0.1,
        dataset={{_base_.train_dataloader.dataset}},
    ),
)
