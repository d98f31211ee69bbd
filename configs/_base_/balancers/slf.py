# Stochastic Loss Function (Liu & Lai, AAAI 2020): a decision network weighs the parts of each image, led by the average
# precision that is lost with each of them
loss_balancer = dict(type='SLFBalancer')
