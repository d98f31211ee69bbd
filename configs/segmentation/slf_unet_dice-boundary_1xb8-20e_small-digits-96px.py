# Generalised Dice and the boundary loss, balanced by SLF around the mean weights of the authors' schedule
_base_ = './unet_dice-boundary_1xb8-20e_small-digits-96px.py'
model = dict(
    loss_balancer=dict(
        _delete_=True,
        type='SLFBalancer',
        parts=['loss_dice', 'loss_boundary'],
        base_weights=dict(dice=0.9, boundary=0.11),
    )
)
