_base_ = 'mmdet::yolox/yolox_s_8xb8-300e_coco.py'
custom_imports = dict(imports=['slf_mmdet'], allow_failed_imports=False)
log_processor = dict(mean_pattern=r'.*(loss|time|data_time|grad_norm|balance_).*')  # sampled weights as means
custom_hooks = [*_base_.custom_hooks, dict(type='BalanceMonitorHook'), dict(type='CollapseGuardHook')]

model = dict(
    type='BalancedDetector',
    detector_type='YOLOX',
    # loss_l1 begins 15 epochs before the end
    loss_balancer=dict(type='SLFBalancer', parts=dict(cls='loss_cls', obj='loss_obj', box='loss_(bbox|l1)')),
)
