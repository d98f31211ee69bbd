_base_ = '../yolov1/yolov1_squeezenet_1xb32-20e_voc07-224px.py'
model = dict(bbox_head=dict(loss_balancer=dict(type='PaperSLFBalancer')))
