_base_ = [
    '../_base_/models/translator_transformer.py',
    '../_base_/datasets/multi30k_10k_de_en.py',
    '../_base_/schedules/adam_20e.py',
    '../_base_/translation_runtime.py',
]
model = dict(network=dict(embed_dims=128, num_layers=2, num_heads=4, feedforward_dims=256))
train_cfg = dict(max_epochs=10, val_interval=5)
param_scheduler = [_base_.param_scheduler[0], dict(_base_.param_scheduler[1], T_max=10, end=10)]
auto_scale_lr = dict(base_batch_size=64)
