# After ten of twenty epochs of cross-entropy (227 iterations each), in the last two of which the critic is trained, too
loss = dict(
    type='ActorCritic',
    critic=dict(type='LSTMSeq2Seq', embed_dims=256, hidden_dims=256, num_layers=1, dropout=0.0),
    warmup_iters=2270,
    critic_iters=454,
)
