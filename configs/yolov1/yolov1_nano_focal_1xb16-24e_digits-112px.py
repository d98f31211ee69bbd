# Focal loss (Lin et al., ICCV 2017) of each class instead of YOLO's squared error
_base_ = './yolov1_nano_1xb16-24e_digits-112px.py'
model = dict(bbox_head=dict(loss_cls=dict(type='FocalLoss', use_sigmoid=True, gamma=2.0, alpha=0.25)))
