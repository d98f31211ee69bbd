_base_ = [
    '../../_base_/models/mlp_mnist.py',
    '../../_base_/datasets/mnist_32_imbalanced.py',
    '../../_base_/schedules/sgd_cosine_20e.py',
    '../../_base_/classification_runtime.py',
]
