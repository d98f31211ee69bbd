# Average precision as one more part of the loss
_base_ = './retinanet_efficientnet-lite0_fpn_1xb16-12e_voc07-224px.py'
model = dict(
    type='BalancedDetector',
    detector_type='RetinaNet',
    loss_balancer=dict(type='StaticBalancer'),
    loss_ap=dict(type='SoftAPLoss', warmup=500),
)
