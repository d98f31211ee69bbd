# The candidates of the classification experiments of Liu & Lai, AAAI 2020, mixed image by image as the paper prints it:
# K = 3 samples, one loss for both networks. Values of a candidate are summed over the classes; over_elements='mean'
# takes their mean, as Keras does, which makes ten of them ten times smaller and moves the weight to the squared error
loss = dict(
    type='PaperStochasticLoss',
    candidates=[
        dict(type='ClassMSELoss'),
        dict(type='ClassMAELoss'),
        dict(type='CategoricalHingeLoss'),
        dict(type='CosineProximityLoss'),
        dict(type='ProbabilityCrossEntropyLoss'),
    ],
    sampler=dict(type='MultipleGumbelSoftmax', num_samples=3),
    start='uniform',
    over_elements='sum',
)
