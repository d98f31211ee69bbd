# IMTL-L (Liu et al., ICLR 2021): learnt scales that bring all parts to the same size
loss_balancer = dict(type='IMTLLBalancer')
