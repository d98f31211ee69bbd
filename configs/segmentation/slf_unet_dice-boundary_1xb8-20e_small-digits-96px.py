# Generalised Dice and the boundary loss, balanced by SLF around the weights that the authors start with
_base_ = './unet_dice-boundary_1xb8-20e_small-digits-96px.py'
model = dict(
    loss_balancer=dict(
        _delete_=True,
        type='SLFBalancer',
        parts=['loss_dice', 'loss_boundary'],
        base_weights=dict(dice=1.0, boundary=0.01),
    )
)
