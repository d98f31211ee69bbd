# UW-SO (arXiv 2408.07985): a softmax of the inverse losses. Tune the temperature
loss_balancer = dict(type='UWSOBalancer')
