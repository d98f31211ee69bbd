# The candidates weighed by the decision network's probabilities, without sampling (the paper's "SLF-Softmax")
_base_ = './slf_paper.py'
loss = dict(sampler=dict(_delete_=True, type='Softmax'))
