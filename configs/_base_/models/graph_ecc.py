model = dict(type='GraphRegressor', layer=dict(type='EdgeConditionedConv'), loss=dict(type='MSELoss'))
