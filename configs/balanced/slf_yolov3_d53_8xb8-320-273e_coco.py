_base_ = 'mmdet::yolo/yolov3_d53_8xb8-320-273e_coco.py'
custom_imports = dict(imports=['slf_mmdet'], allow_failed_imports=False)
log_processor = dict(mean_pattern=r'.*(loss|time|data_time|grad_norm|balance_).*')  # sampled weights as means
custom_hooks = [dict(type='BalanceMonitorHook'), dict(type='CollapseGuardHook')]

model = dict(
    type='BalancedDetector',
    detector_type='YOLOV3',
    loss_balancer=dict(type='SLFBalancer', parts=dict(cls='loss_cls', obj='loss_conf', xy='loss_xy', wh='loss_wh')),
)
