# YOLO VGG-16: the convolutions of VGG-16 (ImageNet weights from torchvision), 448 px -> 14 x 14, pooled to 7 x 7 cells
_base_ = './yolov1_d24.py'
model = dict(
    data_preprocessor=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]),
    backbone=dict(_delete_=True, type='TorchVisionBackbone', model='vgg16', weights='IMAGENET1K_V1'),
    bbox_head=dict(in_channels=512, pool_size=2),
)
