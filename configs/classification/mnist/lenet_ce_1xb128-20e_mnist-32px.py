_base_ = [
    '../../_base_/models/lenet_mnist.py',
    '../../_base_/datasets/mnist_32.py',
    '../../_base_/schedules/sgd_cosine_20e.py',
    '../../_base_/classification_runtime.py',
]
# LeNet5 has num_classes=-1 where it is a backbone, which mmdet's check of the head takes for a mistake
default_hooks = dict(
    _delete_=True, **{name: hook for name, hook in _base_.default_hooks.items() if name != 'num_classes'}
)
