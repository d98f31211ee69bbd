_base_ = './resnet20_ce_1xb128-200e_cifar100-32px.py'
model = dict(backbone=dict(depth=8))
