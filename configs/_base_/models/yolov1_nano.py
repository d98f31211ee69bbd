# A tiny YOLO for the demo: 112 px -> 7 x 7 cells
_base_ = './yolov1_d24.py'
model = dict(
    backbone=dict(arch='nano', channels_last=True),
    bbox_head=dict(num_classes=10, in_channels=128, head_type='conv', hidden_channels=(128,), dropout=0.0),
)
