# The candidates of the paper's classification experiments
candidates = [
    dict(type='ClassMSELoss'),
    dict(type='ClassMAELoss'),
    dict(type='CategoricalHingeLoss'),
    dict(type='CosineProximityLoss'),
    dict(type='ProbabilityCrossEntropyLoss'),
]
