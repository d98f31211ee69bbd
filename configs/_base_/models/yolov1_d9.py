# Fast YOLO (Redmon et al., CVPR 2016): 9 convolutional layers, otherwise as YOLO
_base_ = './yolov1_d24.py'
model = dict(backbone=dict(arch='fast'))
