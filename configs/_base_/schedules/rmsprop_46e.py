# RMSprop as Keras and TensorFlow have it by default; 46 epochs until the thresholds of the clustering meet
optim_wrapper = dict(optimizer=dict(type='RMSprop', lr=0.001, alpha=0.9))
train_cfg = dict(by_epoch=True, max_epochs=46, val_interval=1)
val_cfg = dict()
test_cfg = dict()
auto_scale_lr = dict(base_batch_size=128)
