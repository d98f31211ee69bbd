_base_ = ['./dac-slim_ce_1xb128-46e_mnist10k-28px.py', '../_base_/losses/slf.py']
model = dict(loss=_base_.loss)
