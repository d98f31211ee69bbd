_base_ = ['./resnet20_ce_1xb128-200e_cifar100-32px.py', '../../_base_/losses/slf_paper_softmax.py']
model = dict(head=dict(loss=_base_.loss))
