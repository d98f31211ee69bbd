# Uncertainty weighting (Kendall et al., CVPR 2018): learnt variances, |s| within the bound
loss_balancer = dict(type='UncertaintyBalancer', bound=2.0)
