# Random Loss Weighting (Lin et al., TMLR 2022): what a learnt weighting has to beat
loss_balancer = dict(type='RLWBalancer')
