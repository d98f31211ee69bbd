# Generalised Dice and the boundary loss with the schedule of its authors: in each epoch the boundary's weight, .01 at
# the start, rises by .01, and that of the region, 1 at the start, falls by .01. 40 iterations are an epoch
_base_ = './unet_dice_1xb8-20e_small-digits-96px.py'
falling = dict(type='LinearParamScheduler', start_factor=1.0, end_factor=0.8, end=801)
rising = dict(type='LinearParamScheduler', start_factor=0.01 / 0.21, end_factor=1.0, end=801)
model = dict(
    type='BalancedDetector',
    detector_type='SemanticSegmentor',
    losses=dict(boundary=dict(type='BoundaryLoss')),
    loss_balancer=dict(
        type='ScheduledBalancer',
        parts=['loss_dice', 'loss_boundary'],
        schedules=dict(
            dice=dict(value=1.0, schedulers=[falling]),
            boundary=dict(value=0.21, schedulers=[rising]),
        ),
    ),
)
