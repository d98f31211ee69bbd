_base_ = ['mmdet::detr/detr_r50_8xb2-150e_coco.py', '../_base_/balanced_runtime.py']
custom_imports = dict(imports=['slf_mmdet'], allow_failed_imports=False)
default_hooks = _base_.balanced_hooks
log_processor = _base_.balanced_log

model = dict(
    type='BalancedDetector',
    detector_type='DETR',
    # of all decoder layers: loss_cls, d0.loss_cls, d1.loss_cls ...
    loss_balancer=dict(
        type='SLFBalancer',
        parts=dict(cls=r'(d\d\.)?loss_cls', l1=r'(d\d\.)?loss_bbox', iou=r'(d\d\.)?loss_iou'),
    ),
)
