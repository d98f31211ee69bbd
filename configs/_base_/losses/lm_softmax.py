# Large-margin softmax (Liu et al., ICML 2016): cross-entropy of a classifier with a margin. Its annealing goes from
# 1000, where the loss is plain, below 1 after 3,500 steps: 7 of 20 epochs on MNIST
classifier = dict(
    type='LargeMarginLinear',
    margin=2,
    annealing=dict(value=1000.0, schedulers=[dict(type='ExponentialParamScheduler', gamma=0.998)]),
)
