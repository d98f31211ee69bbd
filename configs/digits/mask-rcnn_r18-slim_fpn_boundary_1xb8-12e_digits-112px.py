# The boundary of the masks as a part of the loss: to be balanced, its weight is the one its authors start with
_base_ = './mask-rcnn_r18-slim_fpn_1xb8-12e_digits-112px.py'
model = dict(roi_head=dict(mask_head=dict(type='BoundaryMaskHead')))
