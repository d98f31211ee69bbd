# Log transform (Lin et al., 2023, the loss-balancing half of DB-MTL): the sum of the logarithms of the parts
loss_balancer = dict(type='LogBalancer')
