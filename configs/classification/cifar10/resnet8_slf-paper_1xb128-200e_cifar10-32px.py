_base_ = ['./resnet8_ce_1xb128-200e_cifar10-32px.py', '../../_base_/losses/slf_paper.py']
model = dict(head=dict(loss=_base_.loss))
