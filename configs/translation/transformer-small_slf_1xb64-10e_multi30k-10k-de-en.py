_base_ = ['./transformer-small_ce_1xb64-10e_multi30k-10k-de-en.py', '../_base_/losses/translation/slf.py']
model = dict(loss=dict(_delete_=True, **_base_.loss))
