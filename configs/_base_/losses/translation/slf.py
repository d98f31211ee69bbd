# Candidates for each token, relative to their running means: none is preferred for its scale
loss = dict(
    type='TeacherForcing',
    loss=dict(
        type='StochasticLoss',
        candidates=[
            dict(type='SmoothedCrossEntropyLoss', name='cross_entropy'),
            dict(type='SmoothedCrossEntropyLoss', label_smoothing=0.1, name='label_smoothing'),
            dict(type='SoftmaxMarginLoss', name='softmax_margin'),
            dict(type='BiTemperedLoss', t1=0.8, t2=1.0, name='bi_tempered'),
        ],
        signal=dict(type='RelativeLoss'),
    ),
)
