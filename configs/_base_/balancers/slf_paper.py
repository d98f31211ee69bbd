# Algorithm 1 of Liu & Lai, AAAI 2020, as printed, to compare with: on a detector all weight moves to the smallest part
loss_balancer = dict(type='PaperSLFBalancer')
