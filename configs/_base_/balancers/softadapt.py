# SoftAdapt (Heydari et al., 2019): weights follow how the parts changed in the last step
loss_balancer = dict(type='SoftAdaptBalancer', beta=1.0, rate='ratio', interval=1)
