_base_ = ['mmdet::fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py', '../_base_/balanced_runtime.py']
custom_imports = dict(imports=['slf_mmdet'], allow_failed_imports=False)
default_hooks = _base_.balanced_hooks
log_processor = _base_.balanced_log

model = dict(
    type='BalancedDetector',
    detector_type='FCOS',
    loss_balancer=dict(type='SLFBalancer', parts=dict(cls='loss_cls', box='loss_bbox', center='loss_centerness')),
)
