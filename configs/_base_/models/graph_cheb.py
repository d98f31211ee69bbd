model = dict(type='GraphRegressor', layer=dict(type='ChebConv', order=3), loss=dict(type='MSELoss'))
