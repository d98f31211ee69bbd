# Stochastic Loss Function (Liu & Lai, AAAI 2020): a decision network and sampled weights for each image
loss_balancer = dict(type='SLFBalancer', num_samples=30, kl_weight=20.0)
