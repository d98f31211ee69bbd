model = dict(type='GraphRegressor', layer=dict(type='FeaStConv'), loss=dict(type='MSELoss'))
