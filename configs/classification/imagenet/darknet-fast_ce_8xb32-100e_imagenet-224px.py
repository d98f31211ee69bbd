_base_ = './darknet-extraction_ce_8xb32-100e_imagenet-224px.py'
model = dict(backbone=dict(arch='fast'))
