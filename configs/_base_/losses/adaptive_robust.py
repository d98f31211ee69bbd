# Adaptive robust loss (Barron, CVPR 2019) of class probabilities, with a learnt shape for each class. The scale is
# fixed: most residuals of probabilities can be made exactly 0, so a learnt one shrinks until nothing else counts
loss = dict(type='AdaptiveRobustLoss', activation='softmax', scale=0.3)
