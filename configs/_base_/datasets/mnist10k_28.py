# The first 10,000 training images of MNIST (idx files, unpacked, in data/mnist). Clusters are evaluated on the images
# that they are made of, whose labels the training does not look at
data_preprocessor = dict(type='mmpretrain.ClsDataPreprocessor', mean=[33.32], std=[78.57])
dataset = dict(
    type='MNIST',
    data_root='data/mnist',
    split='train',
    download=False,
    indices=10000,
    pipeline=[dict(type='PackInputs')],
)
train_dataloader = dict(
    batch_size=128,
    num_workers=2,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dataset,
)
val_dataloader = dict(
    batch_size=500,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dataset,
)
test_dataloader = val_dataloader

val_evaluator = dict(type='mmdet.ClusteringMetric')
test_evaluator = val_evaluator
