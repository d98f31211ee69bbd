_base_ = ['./dac_ce_1xb128-46e_mnist70k-28px.py', '../_base_/losses/slf.py']
model = dict(loss=_base_.loss)
