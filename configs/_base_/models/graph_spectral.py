model = dict(type='GraphRegressor', layer=dict(type='SpectralConv', num_frequencies=200), loss=dict(type='MSELoss'))
