# CoV-Weighting (Groenendijk et al., WACV 2021): parts whose loss still varies weigh more
loss_balancer = dict(type='CoVBalancer')
