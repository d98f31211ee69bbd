_base_ = './lstm-1_ce_1xb128-20e_multi30k-de-en.py'
model = dict(network=dict(num_layers=2))
