_base_ = ['./lenet_ce_1xb128-20e_mnist-32px.py', '../../_base_/losses/lm_softmax.py']
model = dict(head=dict(classifier=_base_.classifier))
