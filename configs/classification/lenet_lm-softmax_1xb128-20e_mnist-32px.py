_base_ = './lenet_ce_1xb128-20e_mnist-32px.py'
# From 1000, where the loss is plain, below 1 after 3,500 steps or 7 epochs
annealing = dict(value=1000.0, schedulers=[dict(type='ExponentialParamScheduler', gamma=0.998)])
model = dict(head=dict(classifier=dict(type='LargeMarginLinear', margin=2, annealing=annealing)))
