# Stochastic Loss Function (Liu & Lai, AAAI 2020): the candidates of its classification experiments, mixed image by
# image. num_samples: the paper's K
loss = dict(
    type='StochasticLoss',
    candidates=[
        dict(type='ClassMSELoss'),
        dict(type='ClassMAELoss'),
        dict(type='CategoricalHingeLoss'),
        dict(type='CosineProximityLoss'),
        dict(type='ProbabilityCrossEntropyLoss'),
    ],
    num_samples=3,
)
