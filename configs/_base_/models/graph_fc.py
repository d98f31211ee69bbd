model = dict(type='GraphRegressor', loss=dict(type='MSELoss'))
