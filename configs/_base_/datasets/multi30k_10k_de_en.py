# The first 10,000 pairs of Multi30k, for a CPU; also the vocabulary is trained on these alone
_base_ = './multi30k_de_en.py'
data_preprocessor = dict(vocabulary=dict(file=_base_.data_root + 'bpe-4000-10k.json', vocab_size=4000, max_lines=10000))
train_dataloader = dict(batch_size=64, dataset=dict(indices=10000))
