# ReLoBRaLo (Bischof & Kraus, 2021): relative loss balancing with random lookback
loss_balancer = dict(type='ReLoBRaLoBalancer', alpha=0.95, lookback=0.99, temperature=1.0)
