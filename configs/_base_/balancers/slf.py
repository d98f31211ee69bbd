# Stochastic Loss Function (Liu & Lai, AAAI 2020): a decision network weighs the parts of each image.
# num_samples=3 samples the weights as in the paper; anchor='gradients' starts where all parts pull equally hard
loss_balancer = dict(type='SLFBalancer')
