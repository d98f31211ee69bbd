_base_ = ['./mlp_ce_1xb128-20e_mnist-32px.py', '../_base_/losses/slf_candidates.py']
model = dict(
    head=dict(loss=dict(type='StochasticLoss', candidates={{_base_.candidates}}, context_dim=10, num_samples=3)),
)
