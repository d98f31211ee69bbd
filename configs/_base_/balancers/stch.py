# Smooth Tchebycheff (Lin et al., ICML 2024): the part that lags behind counts most, after a warm-up
loss_balancer = dict(type='STCHBalancer', mu=1.0, warmup=500)
