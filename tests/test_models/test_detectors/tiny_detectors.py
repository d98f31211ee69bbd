"""The example configs of ``configs/balanced`` with networks that train in seconds, and a batch for them."""

import copy
from pathlib import Path

import mmdet
import torch
from mmdet.registry import DATASETS, MODELS
from mmdet.structures.mask import BitmapMasks
from mmengine.config import Config, ConfigDict
from mmengine.dataset import pseudo_collate

from slf_mmdet.models.detectors.balanced_detector import detector_config

from ...helpers import CONFIGS

FILES = dict(
    retinanet='slf_retinanet_r50_fpn_1x_coco.py',
    fcos='slf_fcos_r50-caffe_fpn_gn-head_1x_coco.py',
    ssd='slf_ssd300_coco.py',
    yolov3='slf_yolov3_d53_8xb8-320-273e_coco.py',
    yolox='slf_yolox_s_8xb8-300e_coco.py',
    faster_rcnn='slf_faster-rcnn_r50_fpn_1x_coco.py',
    mask_rcnn='slf_mask-rcnn_r50_fpn_1x_coco.py',
    detr='slf_detr_r50_8xb2-150e_coco.py',
    deformable_detr='slf_deformable-detr_r50_16xb2-50e_coco.py',
)
SIZE = 96
CLASSES = 10
WIDTH = 16  # channels of necks and heads; the backbone has 8, 16, 32 and 64


def tiny_model(name):
    """The model of an example config, its parts included, with ResNet-18 of 8 channels or less."""
    model = Config.fromfile(CONFIGS / 'balanced' / FILES[name]).model
    _SHRINK.get(name, _retinanet)(model)
    return model


def mmdet_model(path):
    """The model of one of mmdet's configs, with nothing to download."""
    model = Config.fromfile(Path(mmdet.__file__).parent / '.mim/configs' / path).model
    model.backbone.pop('init_cfg', None) if 'backbone' in model else model.detector.backbone.pop('init_cfg', None)
    return model


def unbalanced(cfg):
    """The config of the detector without its balancer."""
    return ConfigDict(detector_config(cfg))


def build(cfg, seed=0):
    torch.manual_seed(seed)
    model = MODELS.build(copy.deepcopy(cfg))
    model.init_weights()
    return model


def batch(digits, indices=range(4)):
    """Images of the digits; what is bright within a box is the object's mask."""
    cfg = Config.fromfile(CONFIGS / '_base_/datasets/digits_voc_112.py').train_dataloader.dataset
    cfg.data_root = str(digits / cfg.data_root) + '/'
    cfg.pipeline[2].scale = (SIZE, SIZE)
    dataset = DATASETS.build(cfg)
    data = pseudo_collate([dataset[i] for i in indices])
    for image, sample in zip(data['inputs'], data['data_samples']):
        bright = (image.float().mean(0) > 100).numpy()
        masks = []
        for x1, y1, x2, y2 in sample.gt_instances.bboxes.tensor.round().int().tolist():
            mask = bright.astype('uint8') * 0
            mask[y1:y2, x1:x2] = bright[y1:y2, x1:x2]
            masks.append(mask)
        sample.gt_instances.masks = BitmapMasks(masks, SIZE, SIZE)
        sample.set_metainfo(dict(flip=False, flip_direction=None))
    return data


def _resnet(detector, *out_indices):
    detector.backbone = dict(type='ResNet', depth=18, base_channels=8, out_indices=out_indices)


def _retinanet(detector):
    _resnet(detector, 0, 1, 2, 3)
    detector.neck.update(in_channels=[8, 16, 32, 64], out_channels=WIDTH)
    detector.bbox_head.update(num_classes=CLASSES, in_channels=WIDTH, feat_channels=WIDTH, stacked_convs=1)


def _fcos(detector):
    _retinanet(detector)
    detector.bbox_head.norm_cfg = dict(type='GN', num_groups=4, requires_grad=True)


def _ssd(detector):
    _resnet(detector, 2, 3)
    detector.neck = dict(
        type='SSDNeck',
        in_channels=(32, 64),
        out_channels=(32, 64, 32),
        level_strides=(2,),
        level_paddings=(1,),
        l2_norm_scale=None,
    )
    detector.bbox_head.update(num_classes=CLASSES, in_channels=(32, 64, 32))
    detector.bbox_head.anchor_generator = dict(
        type='SSDAnchorGenerator',
        scale_major=False,
        input_size=SIZE,
        min_sizes=[16, 32, 64],
        max_sizes=[32, 64, 96],
        strides=[16, 32, 64],
        ratios=[[2], [2, 3], [2]],
    )


def _yolov3(detector):
    _resnet(detector, 1, 2, 3)
    detector.neck.update(in_channels=[64, 32, 16], out_channels=[32, 16, 8])
    detector.bbox_head.update(num_classes=CLASSES, in_channels=[32, 16, 8], out_channels=[32, 16, 8])


def _yolox(detector):
    detector.data_preprocessor.pop('batch_augments')  # sizes from 480 px
    detector.backbone.update(deepen_factor=0.1, widen_factor=0.0625)
    detector.neck.update(in_channels=[16, 32, 64], out_channels=WIDTH)
    detector.bbox_head.update(num_classes=CLASSES, in_channels=WIDTH, feat_channels=WIDTH, stacked_convs=1)


def _faster_rcnn(detector):
    _resnet(detector, 0, 1, 2, 3)
    detector.neck.update(in_channels=[8, 16, 32, 64], out_channels=WIDTH)
    detector.rpn_head.update(in_channels=WIDTH, feat_channels=WIDTH)
    detector.roi_head.bbox_roi_extractor.out_channels = WIDTH
    detector.roi_head.bbox_head.update(num_classes=CLASSES, in_channels=WIDTH, fc_out_channels=32)
    detector.train_cfg.rpn_proposal.update(nms_pre=200, max_per_img=50)
    detector.train_cfg.rcnn.sampler.num = 32
    detector.test_cfg.rpn.update(nms_pre=200, max_per_img=50)


def _mask_rcnn(detector):
    _faster_rcnn(detector)
    detector.roi_head.mask_roi_extractor.out_channels = WIDTH
    head = dict(num_classes=CLASSES, num_convs=1, in_channels=WIDTH, conv_out_channels=WIDTH)
    detector.roi_head.mask_head.update(head)


def _detr(detector):
    _resnet(detector, 3)
    detector.neck.update(in_channels=[64], out_channels=32)
    detector.positional_encoding.num_feats = 16
    detector.num_queries = 20
    detector.test_cfg.max_per_img = 20
    detector.bbox_head.update(num_classes=CLASSES, embed_dims=32)
    for transformer, layers in ((detector.encoder, 1), (detector.decoder, 2)):
        transformer.num_layers = layers
        transformer.layer_cfg.ffn_cfg.update(embed_dims=32, feedforward_channels=64)
        for key in ('self_attn_cfg', 'cross_attn_cfg'):
            if key in transformer.layer_cfg:
                transformer.layer_cfg[key].update(embed_dims=32)


def _deformable_detr(detector):
    _detr(detector)
    _resnet(detector, 1, 2, 3)
    detector.neck.update(in_channels=[16, 32, 64])
    detector.neck.norm_cfg.num_groups = 4


_SHRINK = dict(
    fcos=_fcos,
    ssd=_ssd,
    yolov3=_yolov3,
    yolox=_yolox,
    faster_rcnn=_faster_rcnn,
    mask_rcnn=_mask_rcnn,
    detr=_detr,
    deformable_detr=_deformable_detr,
)
