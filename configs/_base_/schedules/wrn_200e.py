# Zagoruyko & Komodakis, BMVC 2016, section 3: Nesterov momentum, a fifth of the learning rate after 60, 120, 160 epochs
_base_ = 'mmpretrain::_base_/schedules/cifar10_bs128.py'
optim_wrapper = dict(optimizer=dict(weight_decay=5e-4, nesterov=True))
param_scheduler = dict(milestones=[60, 120, 160], gamma=0.2)
