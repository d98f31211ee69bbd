# FAMO (Liu et al., NeurIPS 2023): all parts shall fall at the same relative speed
loss_balancer = dict(type='FAMOBalancer', lr=0.025, weight_decay=1e-3, interval=1)
