# Average precision as one more part of the loss
_base_ = './retinanet_r18-slim_fpn_1xb8-24e_digits-112px.py'
model = dict(
    type='BalancedDetector',
    detector_type='RetinaNet',
    loss_balancer=dict(type='StaticBalancer'),
    loss_ap=dict(type='SoftAPLoss', warmup=800),
)
