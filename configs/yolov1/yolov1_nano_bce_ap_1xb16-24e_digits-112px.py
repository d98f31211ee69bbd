# Average precision as a fifth part of the loss, with the weight of yolov1_nano_ap
_base_ = './yolov1_nano_bce_1xb16-24e_digits-112px.py'
model = dict(bbox_head=dict(loss_ap=dict(type='SoftAPLoss', loss_weight=3.0, warmup=500)))
