# All 70,000 images of MNIST, as Chang et al. (ICCV 2017) cluster them
_base_ = './mnist10k_28.py'
images = dict(type='MNIST', data_root='data/mnist', download=False, pipeline=[dict(type='PackInputs')])
dataset = dict(
    _delete_=True,
    type='ConcatDataset',
    # mmpretrain picks the files by test_mode alone
    datasets=[dict(images, split='train'), dict(images, split='test', test_mode=True)],
)
train_dataloader = dict(dataset=dataset)
val_dataloader = dict(dataset=dataset)
test_dataloader = val_dataloader
