# The candidates of the classification experiments of Liu & Lai, AAAI 2020, mixed image by image, held to equal weights
loss = dict(
    type='StochasticLoss',
    candidates=[
        dict(type='ClassMSELoss'),
        dict(type='ClassMAELoss'),
        dict(type='CategoricalHingeLoss'),
        dict(type='CosineProximityLoss'),
        dict(type='ProbabilityCrossEntropyLoss'),
    ],
)
