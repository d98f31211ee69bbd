model = dict(type='GraphRegressor', layer=None, hidden_channels=(300,), loss=dict(type='MSELoss'))
