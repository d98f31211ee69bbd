# After ten of twenty epochs of cross-entropy (227 iterations each): two tokens more are drawn in every epoch
loss = dict(type='Mixer', delta=2, interval=227, warmup_iters=2270)
