_base_ = 'mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py'
custom_imports = dict(imports=['slf_mmdet'], allow_failed_imports=False)
log_processor = dict(mean_pattern=r'.*(loss|time|data_time|grad_norm|balance_).*')  # sampled weights as means
custom_hooks = [dict(type='BalanceMonitorHook'), dict(type='CollapseGuardHook')]

model = dict(
    type='BalancedDetector',
    detector_type='FasterRCNN',
    loss_balancer=dict(type='SLFBalancer', parts=dict(rpn='loss_rpn_.*', cls='loss_cls', box='loss_bbox')),
)
