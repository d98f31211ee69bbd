# As the paper prints it: K = 3 samples, one loss for both networks. Values of a candidate are summed over the classes.
# over_elements='mean' takes their mean, as Keras does, which makes ten of them ten times smaller and moves the weight
# to the squared error
_base_ = './slf.py'
loss = dict(
    type='PaperStochasticLoss',
    sampler=dict(type='MultipleGumbelSoftmax', num_samples=3),
    start='uniform',
    over_elements='sum',
)
