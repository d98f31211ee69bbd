_base_ = '../yolov1/yolov1_vgg16_8xb8-135e_voc0712-448px.py'
model = dict(bbox_head=dict(loss_balancer=dict(type='SLFBalancer')))
