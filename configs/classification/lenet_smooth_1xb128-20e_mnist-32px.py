_base_ = './lenet_ce_1xb128-20e_mnist-32px.py'
model = dict(head=dict(loss=dict(type='SmoothZeroOneLoss')))
