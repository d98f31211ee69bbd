_base_ = ['mmdet::ssd/ssd300_coco.py', '../_base_/balanced_runtime.py']
custom_imports = dict(imports=['slf_mmdet'], allow_failed_imports=False)
default_hooks = _base_.balanced_hooks
log_processor = _base_.balanced_log

model = dict(
    type='BalancedDetector',
    detector_type='SingleStageDetector',
    loss_balancer=dict(type='SLFBalancer', parts=dict(cls='loss_cls', box='loss_bbox')),
)
