# Scheduled factors of the base weights: part -> a number, or a start and mmengine's parameter schedulers in iterations.
# Here the classification part is eased in over the first 500 iterations.
loss_balancer = dict(
    type='ScheduledBalancer',
    schedules=dict(
        cls=dict(
            value=1.0,
            schedulers=[dict(type='LinearParamScheduler', start_factor=0.1, end=501)],
        )
    ),
)
