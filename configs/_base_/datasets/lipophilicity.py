# Lipophilicity of MoleculeNet: Lipophilicity.csv in data/molecules; a quarter, drawn at random, is the test split
_base_ = './dpp4.py'
dataset = dict(
    type='MoleculeDataset',
    data_root='data/molecules',
    ann_file='Lipophilicity.csv',
    target='exp',
    split_column=None,
    test_share=0.25,
    pipeline=[dict(type='PackFeatures')],
)
train_dataloader = dict(dataset=dict(dataset, split='train'))
val_dataloader = dict(dataset=dict(dataset, split='test'))
test_dataloader = val_dataloader
