_base_ = ['./dac_ce_1xb128-46e_cifar10-folder-32px.py', '../_base_/losses/slf_paper_softmax.py']
model = dict(loss=_base_.loss)
