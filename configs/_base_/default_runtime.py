custom_imports = dict(imports=['slf_mmdet'], allow_failed_imports=False)
default_scope = 'mmdet'

default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='CheckpointHook', interval=1, max_keep_ckpts=3),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    visualization=dict(type='DetVisualizationHook'),
    # With their scope, so that configs of other scopes can inherit them
    num_classes=dict(type='mmdet.NumClassCheckHook'),
    non_finite_guard=dict(type='mmdet.NonFiniteGuardHook', policy='raise'),
    random_state=dict(type='mmdet.RandomStateHook'),
    safe_resume=dict(type='mmdet.SafeResumeHook'),
)
# Log the balancer, and warn when a loss weight collapses; without a balancer they do nothing
custom_hooks = [dict(type='BalanceMonitorHook'), dict(type='CollapseGuardHook')]

env_cfg = dict(
    cudnn_benchmark=True,  # YOLO's images are all of one size
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'),
)

vis_backends = [dict(type='LocalVisBackend')]
visualizer = dict(type='DetLocalVisualizer', vis_backends=vis_backends, name='visualizer')
log_processor = dict(
    type='LogProcessor',
    window_size=50,
    by_epoch=True,
    mean_pattern=r'.*(loss|time|data_time|grad_norm|balance_).*',  # sampled weights are logged as means, too
)

log_level = 'INFO'
load_from = None
resume = False
