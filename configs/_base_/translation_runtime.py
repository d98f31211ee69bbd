_base_ = './default_runtime.py'
default_hooks = dict(
    _delete_=True,  # without those that look at images and classes
    **{name: hook for name, hook in _base_.default_hooks.items() if name not in ('visualization', 'num_classes')},
)
custom_hooks = [dict(type='CandidateWeightsHook')]
visualizer = dict(_delete_=True, type='Visualizer', vis_backends=_base_.vis_backends, name='visualizer')
env_cfg = dict(cudnn_benchmark=False)  # sentences differ in length
