_base_ = [
    '../_base_/models/dac_mnist.py',
    '../_base_/datasets/mnist70k_28.py',
    '../_base_/schedules/rmsprop_46e.py',
    '../_base_/clustering_runtime.py',
]
