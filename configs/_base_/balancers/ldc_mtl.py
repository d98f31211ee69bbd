# LDC-MTL (arXiv 2502.08585): a router learns weights under which the weighted losses are equal
loss_balancer = dict(type='LDCMTLBalancer')
