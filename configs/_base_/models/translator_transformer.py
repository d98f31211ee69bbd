model = dict(
    type='Translator',
    network=dict(
        type='TransformerSeq2Seq', embed_dims=256, num_layers=3, num_heads=8, feedforward_dims=512, dropout=0.1
    ),
    loss=dict(type='TeacherForcing', loss=dict(type='SmoothedCrossEntropyLoss')),
    beam_size=5,
    max_length=60,
)
