_base_ = ['./resnet32_ce_1xb128-200e_cifar10-32px.py', '../../_base_/losses/lm_softmax_200e.py']
model = dict(head=dict(classifier=_base_.classifier))
