# Large-margin softmax whose annealing is below 1 after 28,000 steps: 70 of 200 epochs on CIFAR
_base_ = './lm_softmax.py'
classifier = dict(annealing=dict(schedulers=[dict(type='ExponentialParamScheduler', gamma=0.99975)]))
