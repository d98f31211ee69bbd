# Stochastic Loss Function (Liu & Lai, AAAI 2020): the candidates of its classification experiments, mixed image by
# image, as the paper writes it: K = 3 samples, and one loss for both networks. Without the last two settings an anchor
# holds the mixture near equal weights
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
    kl_weight=0,
    detach_context=False,
)
