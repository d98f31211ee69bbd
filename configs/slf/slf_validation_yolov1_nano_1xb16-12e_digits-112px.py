# Weights that follow the detection quality on a tenth of the training images, which is kept out of training
_base_ = '../yolov1/yolov1_nano_1xb16-12e_digits-112px.py'
split = dict(type='HeldOutSplit', dataset=_base_.train_dataloader.dataset, share=0.1)
train_dataloader = dict(dataset=dict(split, _delete_=True, part='train'))
signal = dict(type='ValidationSignal', dataset=dict(split, part='held_out'))
model = dict(bbox_head=dict(loss_balancer=dict(type='SLFBalancer', signal=signal, kl_weight=0.3)))
