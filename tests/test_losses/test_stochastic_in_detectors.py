"""Candidate losses in the loss slots of mmdet's own detectors: a step on random images."""

import pytest
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData

C = 3
SIGMOID = [
    dict(type='FocalLoss'),
    dict(type='CrossEntropyLoss', use_sigmoid=True),
    dict(type='ClassMSELoss', use_sigmoid=True),
    dict(type='BiTemperedLoss', use_sigmoid=True),
]
SOFTMAX = [dict(type='CrossEntropyLoss'), dict(type='CategoricalHingeLoss'), dict(type='SmoothZeroOneLoss')]
BACKBONE = dict(type='ResNet', depth=18, base_channels=4, num_stages=4, out_indices=(2, 3), norm_eval=False)
NECK = dict(type='FPN', in_channels=[16, 32], out_channels=8, num_outs=2)
ANCHORS = dict(type='AnchorGenerator', ratios=[1.0], scales=[4], strides=[16, 32])
CODER = dict(type='DeltaXYWHBBoxCoder')
ASSIGNER = dict(type='MaxIoUAssigner', pos_iou_thr=0.5, neg_iou_thr=0.4, min_pos_iou=0, ignore_iof_thr=-1)


def stochastic(candidates, feature_dim, **kwargs):
    sampler = dict(type='MultipleGumbelSoftmax', num_samples=2)
    return dict(type='StochasticLoss', candidates=candidates, feature_dim=feature_dim, sampler=sampler, **kwargs)


def paper_stochastic(candidates, feature_dim, kl_weight=None, **kwargs):
    return dict(stochastic(candidates, feature_dim, **kwargs), type='PaperStochasticLoss')


def retinanet(mixture=stochastic):
    return dict(
        type='RetinaNet',
        backbone=BACKBONE,
        neck=NECK,
        bbox_head=dict(
            type='RetinaHead',
            num_classes=C,
            in_channels=8,
            feat_channels=8,
            stacked_convs=1,
            anchor_generator=ANCHORS,
            bbox_coder=CODER,
            reg_decoded_bbox=True,
            loss_cls=mixture(SIGMOID, C, use_sigmoid=True),
            loss_bbox=mixture([dict(type='L1Loss'), dict(type='GIoULoss'), dict(type='IoUBalancedSmoothL1Loss')], 4),
        ),
        train_cfg=dict(assigner=ASSIGNER, allowed_border=-1, pos_weight=-1),
    )


def faster_rcnn(mixture=stochastic):
    sampler = dict(type='RandomSampler', num=32, pos_fraction=0.5, neg_pos_ub=-1, add_gt_as_proposals=True)
    proposals = dict(nms_pre=50, max_per_img=20, nms=dict(type='nms', iou_threshold=0.7), min_bbox_size=0)
    return dict(
        type='FasterRCNN',
        backbone=BACKBONE,
        neck=NECK,
        rpn_head=dict(
            type='RPNHead',
            in_channels=8,
            feat_channels=8,
            anchor_generator=ANCHORS,
            bbox_coder=CODER,
            loss_cls=mixture([dict(type='CrossEntropyLoss', use_sigmoid=True)], 1, use_sigmoid=True),
            loss_bbox=dict(type='L1Loss'),
        ),
        roi_head=dict(
            type='StandardRoIHead',
            bbox_roi_extractor=dict(
                type='SingleRoIExtractor',
                roi_layer=dict(type='RoIAlign', output_size=3, sampling_ratio=0),
                out_channels=8,
                featmap_strides=[16, 32],
            ),
            bbox_head=dict(
                type='Shared2FCBBoxHead',
                in_channels=8,
                fc_out_channels=8,
                roi_feat_size=3,
                num_classes=C,
                bbox_coder=CODER,
                loss_cls=mixture(SOFTMAX, C + 1, kl_weight=0.1),
                loss_bbox=mixture([dict(type='L1Loss'), dict(type='SmoothL1Loss')], 4),
            ),
        ),
        train_cfg=dict(
            rpn=dict(
                assigner=ASSIGNER,
                sampler=dict(sampler, add_gt_as_proposals=False),
                allowed_border=-1,
                pos_weight=-1,
                debug=False,
            ),
            rpn_proposal=proposals,
            rcnn=dict(assigner=ASSIGNER, sampler=sampler, pos_weight=-1, debug=False),
        ),
        test_cfg=dict(rpn=proposals, rcnn=dict(score_thr=0.0, nms=dict(type='nms', iou_threshold=0.5), max_per_img=5)),
    )


def batch(size=64):
    torch.manual_seed(0)
    samples = []
    for _ in range(2):
        sample = DetDataSample(
            metainfo=dict(
                img_shape=(size, size),
                ori_shape=(size, size),
                batch_input_shape=(size, size),
                pad_shape=(size, size),
                scale_factor=(1.0, 1.0),
            )
        )
        sample.gt_instances = InstanceData(
            bboxes=torch.tensor([[2.0, 2.0, 60.0, 60.0], [5.0, 30.0, 30.0, 62.0]]), labels=torch.tensor([0, 2])
        )
        samples.append(sample)
    return torch.rand(2, 3, size, size), samples


@pytest.mark.parametrize('mixture', [stochastic, paper_stochastic])
@pytest.mark.parametrize('config', [retinanet, faster_rcnn])
def test_a_step_trains_every_decision_network(config, mixture):
    torch.manual_seed(0)
    detector = MODELS.build(ConfigDict(config(mixture)))
    detector.train()
    losses = detector.loss(*batch())
    total, _ = detector.parse_losses(losses)
    total.backward()
    assert torch.isfinite(total)
    biases = {
        name: parameter.grad
        for name, parameter in detector.named_parameters()
        if name.endswith('decision_network.output.bias') and len(parameter) > 1
    }
    assert len(biases) == 2
    for name, grad in biases.items():
        assert grad is not None and grad.abs().sum() > 0, name
    assert all(
        torch.isfinite(parameter.grad).all() for parameter in detector.parameters() if parameter.grad is not None
    )


def test_predictions_do_not_depend_on_the_losses():
    detector = MODELS.build(ConfigDict(faster_rcnn())).eval()
    images, samples = batch()
    with torch.no_grad():
        results = detector.predict(images, samples)
    assert all((result.pred_instances.scores <= 1).all() for result in results)


def test_a_head_with_encoded_boxes_takes_the_iou_balanced_loss():
    config = retinanet()
    config['bbox_head'].update(
        reg_decoded_bbox=False, loss_bbox=dict(type='IoUBalancedSmoothL1Loss', beta=0.11, bbox_coder=CODER)
    )
    loss = MODELS.build(ConfigDict(config)).loss(*batch())['loss_bbox']
    sum(loss).backward()
    assert sum(loss) > 0
    config['bbox_head']['loss_bbox'].pop('bbox_coder')
    with pytest.raises(ValueError, match='For encoded boxes set reg_decoded_bbox=True in the head'):
        MODELS.build(ConfigDict(config)).loss(*batch())


def test_quality_heads_take_the_iou_balanced_loss():
    head = MODELS.build(
        ConfigDict(
            type='GFLHead',
            num_classes=C,
            in_channels=8,
            feat_channels=8,
            stacked_convs=1,
            norm_cfg=None,
            anchor_generator=dict(ANCHORS, scales=None, octave_base_scale=4, scales_per_octave=1),
            loss_cls=dict(type='IoUBalancedClsLoss'),
            loss_bbox=dict(type='GIoULoss'),
            train_cfg=dict(assigner=dict(type='ATSSAssigner', topk=9), allowed_border=-1, pos_weight=-1),
        )
    )
    _, samples = batch()
    losses = head.loss((torch.rand(2, 8, 4, 4), torch.rand(2, 8, 2, 2)), samples)
    total = sum(losses['loss_cls'])
    total.backward()
    assert torch.isfinite(total) and total > 0
