_base_ = ['./lcn_mse_1xb200-40e_lipophilicity.py', '../_base_/losses/regression/slf.py']
model = dict(loss=_base_.loss)
