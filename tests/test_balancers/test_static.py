"""Fixed weights."""

import torch

from slf_mmdet.balancers import StaticBalancer

from .registry import objective


def test_weighted_sum_by_hand():
    # Means over the images: coord 0.3, cls 0.5; 5 * 0.3 + 1 * 0.5 = 2.0
    balancer = StaticBalancer(parts=['coord', 'cls'], base_weights=dict(coord=5))
    out = balancer(dict(coord=torch.tensor([0.2, 0.4]), cls=torch.tensor([0.5, 0.5])))
    torch.testing.assert_close(out['loss_coord'], torch.tensor(1.5))
    torch.testing.assert_close(objective(out), torch.tensor(2.0))
    assert out['balance_coord'] == 5 and out['balance_cls'] == 1


def test_a_weight_of_zero_switches_a_part_off():
    out = StaticBalancer(base_weights=dict(coord=0, cls=1))(dict(coord=torch.tensor(3.0), cls=torch.tensor(1.0)))
    assert objective(out) == 1
