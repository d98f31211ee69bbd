model = dict(type='GraphRegressor', layer=dict(type='GraphLocallyConnected'), loss=dict(type='MSELoss'))
