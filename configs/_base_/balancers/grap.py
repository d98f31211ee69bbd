# GraP (arXiv 2605.07756): the weights whose step agrees most with the gradient of the detection quality
loss_balancer = dict(type='GraPBalancer')
