# Four losses of a residual, mixed by SLF and held to equal weights; each alone is an arm of the comparison, too
loss = dict(
    type='StochasticLoss',
    candidates=[
        dict(type='MSELoss'),
        dict(type='L1Loss'),
        dict(type='SmoothL1Loss', name='Huber'),
        dict(type='AdaptiveRobustLoss', num_channels=1),
    ],
)
