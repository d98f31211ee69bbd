_base_ = '../yolov1/yolov1_nano_1xb16-12e_digits-112px.py'
model = dict(bbox_head=dict(loss_balancer=dict(type='PaperSLFBalancer')))
