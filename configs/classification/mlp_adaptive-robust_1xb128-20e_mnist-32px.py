_base_ = './mlp_ce_1xb128-20e_mnist-32px.py'
model = dict(head=dict(loss=dict(type='AdaptiveRobustLoss', num_channels=10, activation='softmax')))
