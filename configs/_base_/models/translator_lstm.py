model = dict(
    type='Translator',
    network=dict(type='LSTMSeq2Seq', embed_dims=256, hidden_dims=512, num_layers=1, dropout=0.3),
    loss=dict(type='TeacherForcing', loss=dict(type='SmoothedCrossEntropyLoss')),
    beam_size=5,
    max_length=60,
)
