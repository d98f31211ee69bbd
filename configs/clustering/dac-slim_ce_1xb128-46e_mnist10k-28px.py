_base_ = [
    '../_base_/models/dac-slim_mnist.py',
    '../_base_/datasets/mnist10k_28.py',
    '../_base_/schedules/rmsprop_46e.py',
    '../_base_/clustering_runtime.py',
]
