# After ten of twenty epochs of cross-entropy (227 iterations each)
loss = dict(type='SequenceSoftmaxMargin', num_samples=5, warmup_iters=2270)
