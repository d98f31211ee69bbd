# Pictures of generated images, in the work dir and in TensorBoard
_base_ = './classification_runtime.py'
custom_hooks = [dict(type='SampleGridHook')]
vis_backends = [dict(type='LocalVisBackend'), dict(type='TensorboardVisBackend')]
visualizer = dict(vis_backends=vis_backends)
