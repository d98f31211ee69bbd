# Smooth 0-1 loss (Nguyen & Sanner, ICML 2013): the share of wrong answers, made differentiable
loss = dict(type='SmoothZeroOneLoss')
