_base_ = './dcgan_minimax_1xb64-10e_mnist-28px.py'
train_dataloader = dict(dataset=dict(data_root='data/digits_28px'))
val_dataloader = dict(dataset=dict(data_root='data/digits_28px'))
test_dataloader = val_dataloader
val_evaluator = dict(checkpoint='work_dirs/lenet_digits-28px/epoch_3.pth')
test_evaluator = val_evaluator
