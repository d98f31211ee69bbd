_base_ = ['./lstm-2_ce_1xb128-20e_multi30k-de-en.py', '../_base_/losses/translation/actor_critic.py']
model = dict(loss=dict(_delete_=True, **_base_.loss))
