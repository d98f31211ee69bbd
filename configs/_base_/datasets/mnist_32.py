# MNIST: the four idx files, unpacked (gunzip), in data/mnist
data_preprocessor = dict(mean=[33.32], std=[78.57], num_classes=10)
pipeline = [dict(type='Resize', scale=32), dict(type='PackInputs')]
train_dataloader = dict(
    batch_size=128,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(type='MNIST', data_root='data/mnist', split='train', download=False, pipeline=pipeline),
)
val_dataloader = dict(
    batch_size=500,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    # mmpretrain 1.2 picks the files by test_mode alone: with split='test' only, it reads the training images
    dataset=dict(type='MNIST', data_root='data/mnist', split='test', test_mode=True, download=False, pipeline=pipeline),
)
test_dataloader = val_dataloader

val_evaluator = dict(type='Accuracy', topk=(1,))
test_evaluator = val_evaluator
