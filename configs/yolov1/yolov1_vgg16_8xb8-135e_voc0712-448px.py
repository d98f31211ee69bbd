_base_ = [
    '../_base_/models/yolov1_vgg16.py',
    '../_base_/datasets/voc0712_448.py',
    '../_base_/schedules/yolov1_135e.py',
    '../_base_/default_runtime.py',
]
