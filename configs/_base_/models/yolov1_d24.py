# YOLO (Redmon et al., CVPR 2016): 24 convolutional layers, two fully connected ones, 448 px -> 7 x 7 cells
model = dict(
    type='YOLOV1',
    data_preprocessor=dict(
        type='DetDataPreprocessor', mean=[0, 0, 0], std=[255, 255, 255], bgr_to_rgb=True, pad_size_divisor=1
    ),
    backbone=dict(type='YOLOV1Darknet', arch='yolo'),
    bbox_head=dict(
        type='YOLOV1Head',
        num_classes=20,
        in_channels=1024,
        grid_size=7,
        boxes_per_cell=2,
        head_type='fc',
        hidden_channels=(4096,),
        dropout=0.5,
        loss_balancer=dict(type='StaticBalancer'),  # coord 5, cls 1, obj 1, noobj 0.5
    ),
    test_cfg=dict(score_thr=0.005, nms=dict(type='nms', iou_threshold=0.5), max_per_img=100),
)
