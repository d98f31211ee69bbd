# Hand-set weights: the baseline. base_weights=dict(part=weight, ...) changes them
loss_balancer = dict(type='StaticBalancer')
