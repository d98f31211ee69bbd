# Geometric Loss Strategy (Chennupati et al., CVPR Workshops 2019): the geometric mean of the parts
loss_balancer = dict(type='GLSBalancer')
