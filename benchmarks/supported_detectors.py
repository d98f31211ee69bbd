"""Which detectors of mmdet work with which signals: each takes two training steps on two random images.

Writes a Markdown table. Networks are those of mmdet's configs with a ResNet-18 and random weights. What the plain
detector cannot do here either, for lack of an operator of mmcv or of data that this script does not have, is said.

Example:
    python benchmarks/supported_detectors.py --out docs/detectors.md
"""

import argparse
import copy
import itertools
import re
import warnings
from pathlib import Path
from typing import Any, Dict, List, Tuple

import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmdet_models import build_balanced, small_model, two_images
from mmengine.config import ConfigDict
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from rich.progress import track
from torch import Tensor, nn

Batch = Tuple[Tensor, List[DetDataSample]]
SIZES = (128, 320, 512)  # the first that the plain detector takes
BALANCERS: Dict[str, Dict[str, Any]] = {
    'static': dict(type='StaticBalancer'),
    '`DeltaAP`': dict(type='SLFBalancer', signal=dict(type='DeltaAP', interval=1)),
    '`GradientAlignment`': dict(type='SLFBalancer', signal=dict(type='GradientAlignment', interval=1)),
}
FAMILIES = {
    'ATSS': 'atss/atss_r50_fpn_1x_coco.py',
    'AutoAssign': 'autoassign/autoassign_r50-caffe_fpn_1x_coco.py',
    'BoxInst': 'boxinst/boxinst_r50_fpn_ms-90k_coco.py',
    'Cascade R-CNN': 'cascade_rcnn/cascade-rcnn_r50_fpn_1x_coco.py',
    'Cascade Mask R-CNN': 'cascade_rcnn/cascade-mask-rcnn_r50_fpn_1x_coco.py',
    'Cascade RPN': 'cascade_rpn/cascade-rpn_fast-rcnn_r50-caffe_fpn_1x_coco.py',
    'CenterNet': 'centernet/centernet_r18_8xb16-crop512-140e_coco.py',
    'CenterNet (update)': 'centernet/centernet-update_r50-caffe_fpn_ms-1x_coco.py',
    'CentripetalNet': 'centripetalnet/centripetalnet_hourglass104_16xb6-crop511-210e-mstest_coco.py',
    'CondInst': 'condinst/condinst_r50_fpn_ms-poly-90k_coco_instance.py',
    'Conditional DETR': 'conditional_detr/conditional-detr_r50_8xb2-50e_coco.py',
    'CornerNet': 'cornernet/cornernet_hourglass104_8xb6-210e-mstest_coco.py',
    'CrowdDet': 'crowddet/crowddet-rcnn_r50_fpn_8xb2-30e_crowdhuman.py',
    'DAB-DETR': 'dab_detr/dab-detr_r50_8xb2-50e_coco.py',
    'DDOD': 'ddod/ddod_r50_fpn_1x_coco.py',
    'DDQ': 'ddq/ddq-detr-4scale_r50_8xb2-12e_coco.py',
    'Deformable DETR': 'deformable_detr/deformable-detr_r50_16xb2-50e_coco.py',
    'DETR': 'detr/detr_r50_8xb2-150e_coco.py',
    'DINO': 'dino/dino-4scale_r50_8xb2-12e_coco.py',
    'Double-Head R-CNN': 'double_heads/dh-faster-rcnn_r50_fpn_1x_coco.py',
    'DyHead': 'dyhead/atss_r50_fpn_dyhead_1x_coco.py',
    'Dynamic R-CNN': 'dynamic_rcnn/dynamic-rcnn_r50_fpn_1x_coco.py',
    'Fast R-CNN': 'fast_rcnn/fast-rcnn_r50_fpn_1x_coco.py',
    'Faster R-CNN': 'faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py',
    'FCOS': 'fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py',
    'FoveaBox': 'foveabox/fovea_r50_fpn_4xb4-1x_coco.py',
    'FreeAnchor': 'free_anchor/freeanchor_r50_fpn_1x_coco.py',
    'FSAF': 'fsaf/fsaf_r50_fpn_1x_coco.py',
    'GFL': 'gfl/gfl_r50_fpn_1x_coco.py',
    'GHM': 'ghm/retinanet_r50_fpn_ghm-1x_coco.py',
    'Grid R-CNN': 'grid_rcnn/grid-rcnn_r50_fpn_gn-head_2x_coco.py',
    'Guided Anchoring': 'guided_anchoring/ga-retinanet_r50-caffe_fpn_1x_coco.py',
    'HTC': 'htc/htc-without-semantic_r50_fpn_1x_coco.py',
    'LAD': 'lad/lad_r50-paa-r101_fpn_2xb8_coco_1x.py',
    'Libra R-CNN': 'libra_rcnn/libra-faster-rcnn_r50_fpn_1x_coco.py',
    'Localization Distillation': 'ld/ld_r18-gflv1-r101_fpn_1x_coco.py',
    'Mask2Former': 'mask2former/mask2former_r50_8xb2-lsj-50e_coco.py',
    'MaskFormer': 'maskformer/maskformer_r50_ms-16xb1-75e_coco.py',
    'Mask R-CNN': 'mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py',
    'Mask Scoring R-CNN': 'ms_rcnn/ms-rcnn_r50-caffe_fpn_1x_coco.py',
    'NAS-FCOS': 'nas_fcos/nas-fcos_r50-caffe_fpn_nashead-gn-head_4xb4-1x_coco.py',
    'PAA': 'paa/paa_r50_fpn_1x_coco.py',
    'Panoptic FPN': 'panoptic_fpn/panoptic-fpn_r50_fpn_1x_coco.py',
    'PISA': 'pisa/faster-rcnn_r50_fpn_pisa_1x_coco.py',
    'PointRend': 'point_rend/point-rend_r50-caffe_fpn_ms-1x_coco.py',
    'QueryInst': 'queryinst/queryinst_r50_fpn_1x_coco.py',
    'RepPoints': 'reppoints/reppoints-moment_r50_fpn_1x_coco.py',
    'RetinaNet': 'retinanet/retinanet_r50_fpn_1x_coco.py',
    'RPN': 'rpn/rpn_r50_fpn_1x_coco.py',
    'RTMDet': 'rtmdet/rtmdet_tiny_8xb32-300e_coco.py',
    'RTMDet-Ins': 'rtmdet/rtmdet-ins_tiny_8xb32-300e_coco.py',
    'SABL': 'sabl/sabl-retinanet_r50_fpn_1x_coco.py',
    'SCNet': 'scnet/scnet_r50_fpn_1x_coco.py',
    'SOLO': 'solo/solo_r50_fpn_1x_coco.py',
    'SOLOv2': 'solov2/solov2_r50_fpn_1x_coco.py',
    'Sparse R-CNN': 'sparse_rcnn/sparse-rcnn_r50_fpn_1x_coco.py',
    'SSD': 'ssd/ssd300_coco.py',
    'TOOD': 'tood/tood_r50_fpn_1x_coco.py',
    'TridentNet': 'tridentnet/tridentnet_r50-caffe_1x_coco.py',
    'VarifocalNet': 'vfnet/vfnet_r50_fpn_1x_coco.py',
    'YOLACT': 'yolact/yolact_r50_1xb8-55e_coco.py',
    'YOLOv3': 'yolo/yolov3_mobilenetv2_8xb24-320-300e_coco.py',
    'YOLOF': 'yolof/yolof_r50-c5_8xb8-1x_coco.py',
    'YOLOX': 'yolox/yolox_tiny_8xb8-300e_coco.py',
}
TEXT = """# Detectors

Which detectors of MMDetection work with which balancers. "works": two training steps on random images, with each loss
a part. Balancers and signals that read the losses alone (`LossRate`, `RelativeLoss`, and most
[balancers](balancers.md)) need no more than *static*. A refusal is an error in the first step that says what to take
instead. "not run": the plain detector could not be trained on the machine of this table, without a network and with
mmcv-lite; the note has the reason, which says nothing about balancers.

Generated by `python benchmarks/supported_detectors.py --out docs/detectors.md`.

"""


def main() -> None:
    args = parse_args()
    warnings.simplefilter('ignore')
    MMLogger.get_instance('mmengine', log_level='ERROR')
    init_default_scope('mmdet')
    torch.set_num_threads(args.threads)
    rows = []
    for name in track(args.only or list(FAMILIES)):
        rows.append(try_family(name))
        if args.out is not None:
            args.out.write_text(TEXT + table(rows), encoding='utf-8')
    if args.out is None:
        print(TEXT + table(rows))


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--only', nargs='+', choices=FAMILIES, metavar='NAME', help='families, all by default')
    parser.add_argument('--out', type=Path, help='file; by default the table is printed')
    parser.add_argument('--threads', type=int, default=1)
    return parser.parse_args()


def try_family(name: str) -> List[str]:
    """The row of a detector: name, number of parts, and what happened with each balancer."""
    cfg = small_model(FAMILIES[name])
    data, keys, reason = images_for(cfg)
    if not keys:
        return [name, '', *[f'not run: {reason}'] * len(BALANCERS)]
    return [name, str(len(keys)), *(try_balancer(cfg, dict(each, parts=keys), data) for each in BALANCERS.values())]


def try_balancer(cfg: ConfigDict, balancer: Dict[str, Any], data: Batch) -> str:
    """What happens in two steps; the first measurement of ``GradientAlignment`` has nothing to compare with."""
    model = build_balanced(copy.deepcopy(cfg), balancer)
    try:
        train(model, data, steps=2 if 'signal' in balancer else 1)
    except ValueError as error:
        return f'refused: {first_sentence(error)}'
    return 'works'


def train(model: nn.Module, data: Batch, steps: int) -> List[str]:
    """Keys of the losses."""
    MessageHub.get_current_instance().update_info('epoch', 0)  # of the runner, for TOOD
    for _ in range(steps):
        losses = model(data[0], copy.deepcopy(data[1]), mode='loss')
        model.parse_losses(losses)[0].backward()
    return [key for key in losses if 'loss' in key]


def images_for(cfg: ConfigDict) -> Tuple[Batch, List[str], str]:
    """A batch that the plain detector trains on and its losses; else none, and why."""
    reasons = []
    for size, masks in itertools.product(SIZES, (True, False)):
        data = two_images(size, masks)
        if cfg.type == 'FastRCNN':
            for sample in data[1]:
                sample.proposals = InstanceData(bboxes=size * torch.tensor([[0.2, 0.2, 0.8, 0.8], [0, 0, 0.5, 0.5]]))
        keys, reason = try_plain(cfg, data)
        if keys:
            return data, keys, ''
        reasons.append(reason)
    return data, [], reasons[0]


def try_plain(cfg: ConfigDict, data: Batch) -> Tuple[List[str], str]:
    """Keys of the losses of a step of the plain detector; else none, and why it does not train on this batch."""
    try:
        model = MODELS.build(copy.deepcopy(cfg)).train()
        model.init_weights()
        return train(model, data, steps=1), ''
    except Exception as error:
        return [], f'{type(error).__name__}, {first_sentence(error)}'


def first_sentence(error: Exception) -> str:
    text = re.sub(r'\s+', ' ', str(error)).strip().replace('|', '/')
    return re.split(r'(?<=\.) ', text)[0][:400]


def table(rows: List[List[str]]) -> str:
    """In Markdown; reasons are notes below it."""
    notes: List[str] = []

    def cell(text: str) -> str:
        kind, _, reason = text.partition(': ')
        if not reason:
            return kind
        if reason not in notes:
            notes.append(reason)
        return f'{kind} [{notes.index(reason) + 1}]'

    lines = [f'| detector | parts | {" | ".join(BALANCERS)} |', '|---' * (2 + len(BALANCERS)) + '|']
    lines += [f'| {" | ".join([row[0], row[1], *map(cell, row[2:])])} |' for row in rows]
    return '\n'.join([*lines, '', *(f'{number}. {note}' for number, note in enumerate(notes, 1))]) + '\n'


if __name__ == '__main__':
    main()
