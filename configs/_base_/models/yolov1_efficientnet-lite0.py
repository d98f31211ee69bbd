# A YOLO for CPUs with a strong pretrained backbone: EfficientNet-Lite0, frozen up to its last stage, of stride 32:
# 224 px -> 7 x 7 cells, 320 px -> 10 x 10
_base_ = './yolov1_d24.py'
model = dict(
    data_preprocessor=dict(mean=[127.0, 127.0, 127.0], std=[128.0, 128.0, 128.0]),
    backbone=dict(
        _delete_=True,
        type='EfficientNetBackbone',
        model='tf_efficientnet_lite0',
        weights='data/efficientnet_lite0_features_rgb_fp16.pth',
        out_stages=(6,),
        frozen_stages=6,
        norm_eval=True,
    ),
    bbox_head=dict(in_channels=320, head_type='conv', hidden_channels=(256, 256), dropout=0.3),
)
