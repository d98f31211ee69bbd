# What a training with a balancer needs beside the model. Bases cannot change what other bases set, so a config that
# inherits one of mmdet's takes it over:
#     _base_ = ['mmdet::retinanet/retinanet_r50_fpn_1x_coco.py', '../_base_/balanced_runtime.py']
#     custom_imports = dict(imports=['slf_mmdet'], allow_failed_imports=False)
#     default_hooks = _base_.balanced_hooks
#     log_processor = _base_.balanced_log
balanced_hooks = dict(  # with their scope, so that configs of other scopes can inherit them
    # Log the balancer, and warn when a loss weight collapses; without a balancer they do nothing
    balance_monitor=dict(type='mmdet.BalanceMonitorHook'),
    collapse_guard=dict(type='mmdet.CollapseGuardHook'),
    # A loss that is not finite ends the run before it reaches a parameter; a resumed run equals an uninterrupted one
    non_finite_guard=dict(type='mmdet.NonFiniteGuardHook', policy='raise'),
    random_state=dict(type='mmdet.RandomStateHook'),
    safe_resume=dict(type='mmdet.SafeResumeHook'),
)
balanced_log = dict(mean_pattern=r'.*(loss|time|data_time|grad_norm|balance_).*')  # sampled weights as means
