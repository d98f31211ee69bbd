_base_ = ['./ecc_mse_1xb200-40e_dpp4.py', '../_base_/losses/regression/slf.py']
model = dict(loss=_base_.loss)
