# Dynamic Weight Average (Liu et al., CVPR 2019): parts that fall slowly weigh more.
# interval: iterations; those of an epoch for the paper's
loss_balancer = dict(type='DWABalancer', temperature=2.0, interval=200)
