_base_ = ['./mlp_ce_1xb128-20e_mnist-32px.py', '../../_base_/losses/slf_paper_softmax.py']
model = dict(head=dict(loss=_base_.loss))
