# Multi30k, task 1 of WMT 2016, German to English: train, val and test_2016_flickr as text files in data/multi30k
data_root = 'data/multi30k/'
data_preprocessor = dict(
    type='TranslationPreprocessor',
    # Trained when a run begins, if the file is not there
    vocabulary=dict(
        file=data_root + 'bpe-8000.json',
        vocab_size=8000,
        corpus=[data_root + 'train.de', data_root + 'train.en'],
        lowercase=True,
    ),
)
train_dataloader = dict(
    batch_size=128,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(type='ParallelTextDataset', data_root=data_root, source_file='train.de', target_file='train.en'),
)
val_dataloader = dict(
    batch_size=128,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='ParallelTextDataset', data_root=data_root, source_file='val.de', target_file='val.en', test_mode=True
    ),
)
test_dataloader = dict(
    batch_size=128,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='ParallelTextDataset',
        data_root=data_root,
        source_file='test_2016_flickr.de',
        target_file='test_2016_flickr.en',
        test_mode=True,
    ),
)
val_evaluator = dict(type='BLEUMetric', lowercase=True)
test_evaluator = val_evaluator
