# Average precision as one more part of the loss
_base_ = './faster-rcnn_r18-slim_fpn_1xb8-12e_digits-112px.py'
model = dict(
    type='BalancedDetector',
    detector_type='FasterRCNN',
    loss_balancer=dict(type='StaticBalancer'),
    loss_ap=dict(type='SoftAPLoss', warmup=800),
)
