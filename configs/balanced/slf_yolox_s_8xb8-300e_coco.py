_base_ = ['mmdet::yolox/yolox_s_8xb8-300e_coco.py', '../_base_/balanced_runtime.py']
custom_imports = dict(imports=['slf_mmdet'], allow_failed_imports=False)
default_hooks = _base_.balanced_hooks
log_processor = _base_.balanced_log

model = dict(
    type='BalancedDetector',
    detector_type='YOLOX',
    # loss_l1 begins 15 epochs before the end
    loss_balancer=dict(type='SLFBalancer', parts=dict(cls='loss_cls', obj='loss_obj', box='loss_(bbox|l1)')),
)
