model = dict(type='GraphRegressor', layer=dict(type='GCNConv'), loss=dict(type='MSELoss'))
