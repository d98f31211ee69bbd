# Adaptive robust loss (Barron, CVPR 2019) of class probabilities, with a learnt shape and scale for each class
loss = dict(type='AdaptiveRobustLoss', activation='softmax')
