_base_ = ['./resnet20_ce_1xb128-200e_cifar10-32px.py', '../../_base_/losses/adaptive_robust.py']
model = dict(head=dict(loss=_base_.loss))
