# GradNorm (Chen et al., ICML 2018): gradients of the same size, larger for parts that lag behind
loss_balancer = dict(type='GradNormBalancer', alpha=1.5, lr=0.025)
