# SLF mixes the class loss anchor by anchor: focal loss, RetinaNet's own, and two that count easy anchors in full
_base_ = './retinanet_r18-slim_fpn_1xb8-12e_digits-112px.py'
model = dict(
    bbox_head=dict(
        loss_cls=dict(
            _delete_=True,
            type='StochasticLoss',
            use_sigmoid=True,
            feature_dim=10,
            candidates=[
                dict(type='FocalLoss', use_sigmoid=True, gamma=2.0, alpha=0.25),
                dict(type='CrossEntropyLoss', use_sigmoid=True, loss_weight=0.25),
                dict(type='ClassMSELoss', use_sigmoid=True),
            ],
        )
    )
)
custom_hooks = [dict(type='CandidateWeightsHook')]
