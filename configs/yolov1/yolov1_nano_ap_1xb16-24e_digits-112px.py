# Average precision as a fifth part of the loss. Weight chosen among 0.3, 1 and 3 on held-out training images, seed 100
_base_ = './yolov1_nano_1xb16-24e_digits-112px.py'
model = dict(bbox_head=dict(loss_ap=dict(type='SoftAPLoss', loss_weight=3.0, warmup=500)))
