# A small YOLO for CPUs: SqueezeNet 1.1 (ImageNet weights from torchvision, the first half frozen),
# 224 px -> 13 x 13, pooled to 7 x 7 cells
_base_ = './yolov1_d24.py'
model = dict(
    data_preprocessor=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]),
    backbone=dict(
        _delete_=True,
        type='TorchVisionBackbone',
        model='squeezenet1_1',
        weights='IMAGENET1K_V1',
        frozen=6,
        channels_last=True,
    ),
    bbox_head=dict(in_channels=512, pool_size=2, head_type='conv', hidden_channels=(256, 256), dropout=0.3),
)
