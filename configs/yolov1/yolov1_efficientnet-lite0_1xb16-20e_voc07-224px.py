_base_ = [
    '../_base_/models/yolov1_efficientnet-lite0.py',
    '../_base_/datasets/voc07_224_flips.py',
    '../_base_/schedules/adamw_cosine_20e.py',
    '../_base_/default_runtime.py',
]
train_dataloader = dict(batch_size=16)
auto_scale_lr = dict(base_batch_size=16)
