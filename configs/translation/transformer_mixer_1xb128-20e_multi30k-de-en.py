_base_ = ['./transformer_ce_1xb128-20e_multi30k-de-en.py', '../_base_/losses/translation/mixer.py']
model = dict(loss=dict(_delete_=True, **_base_.loss))
