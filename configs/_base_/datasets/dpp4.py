# DPP4 inhibitors of ChEMBL: a csv file with the columns smiles, pIC50 and split, in data/dpp4
dataset = dict(
    type='MoleculeDataset',
    data_root='data/dpp4',
    ann_file='dpp4_chembl.csv.gz',
    target='pIC50',
    split_column='split',
    pipeline=[dict(type='PackFeatures')],
)
train_dataloader = dict(
    batch_size=200,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(dataset, split='train'),
)
val_dataloader = dict(
    batch_size=500,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(dataset, split='test'),
)
test_dataloader = val_dataloader

val_evaluator = dict(type='SquaredCorrelation')
test_evaluator = val_evaluator
