_base_ = './default_runtime.py'
# Without the hooks of detectors: there are no classes, no boxes and no pictures. An epoch takes a second
default_hooks = dict(
    _delete_=True,
    **{
        name: hook
        for name, hook in _base_.default_hooks.items()
        if name not in ('checkpoint', 'num_classes', 'visualization')
    },
    checkpoint=dict(type='CheckpointHook', interval=5, max_keep_ckpts=1),
)
custom_hooks = [dict(type='CandidateWeightsHook')]
visualizer = dict(_delete_=True, type='Visualizer', vis_backends=_base_.vis_backends, name='visualizer')
