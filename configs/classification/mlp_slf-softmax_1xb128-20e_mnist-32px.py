_base_ = './mlp_slf_1xb128-20e_mnist-32px.py'
model = dict(head=dict(loss=dict(sampler='softmax')))
