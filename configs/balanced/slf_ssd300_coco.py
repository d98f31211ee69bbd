_base_ = 'mmdet::ssd/ssd300_coco.py'
custom_imports = dict(imports=['slf_mmdet'], allow_failed_imports=False)
log_processor = dict(mean_pattern=r'.*(loss|time|data_time|grad_norm|balance_).*')  # sampled weights as means
custom_hooks = [*_base_.custom_hooks, dict(type='BalanceMonitorHook'), dict(type='CollapseGuardHook')]

model = dict(
    type='BalancedDetector',
    detector_type='SingleStageDetector',
    loss_balancer=dict(type='SLFBalancer', parts=dict(cls='loss_cls', box='loss_bbox')),
)
