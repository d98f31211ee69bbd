_base_ = '../yolov1/yolov1_squeezenet_1xb16-60e_bccd-320px.py'
model = dict(bbox_head=dict(loss_balancer=dict(type='SLFBalancer')))
