_base_ = [
    '../_base_/models/graph_feastnet.py',
    '../_base_/datasets/lipophilicity.py',
    '../_base_/schedules/adam_40e.py',
    '../_base_/regression_runtime.py',
]
model = dict(training_set=_base_.train_dataloader.dataset)
