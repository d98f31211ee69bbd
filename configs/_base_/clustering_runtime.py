_base_ = './classification_runtime.py'
custom_hooks = [*_base_.custom_hooks, dict(type='mmdet.SetEpochInfoHook')]
# Clusters need not be as many as classes, which mmdet's check of the head does not know
default_hooks = dict(
    _delete_=True, **{name: hook for name, hook in _base_.default_hooks.items() if name != 'num_classes'}
)
