_base_ = [
    '../_base_/models/yolov1_squeezenet.py',
    '../_base_/datasets/voc07_224.py',
    '../_base_/schedules/adamw_cosine_20e.py',
    '../_base_/default_runtime.py',
]
