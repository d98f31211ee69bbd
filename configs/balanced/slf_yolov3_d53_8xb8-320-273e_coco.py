_base_ = ['mmdet::yolo/yolov3_d53_8xb8-320-273e_coco.py', '../_base_/balanced_runtime.py']
custom_imports = dict(imports=['slf_mmdet'], allow_failed_imports=False)
default_hooks = _base_.balanced_hooks
log_processor = _base_.balanced_log

model = dict(
    type='BalancedDetector',
    detector_type='YOLOV3',
    loss_balancer=dict(type='SLFBalancer', parts=dict(cls='loss_cls', obj='loss_conf', xy='loss_xy', wh='loss_wh')),
)
