_base_ = './dcgan_non-saturating_1xb64-10e_mnist-28px.py'
model = dict(loss=dict(type='MinimaxGANLoss'))
