# The candidates weighed by the decision network's probabilities, without sampling
_base_ = './slf.py'
loss = dict(sampler='softmax')
