"""A run that detected nothing has an average precision of 0, whatever the evaluator returns."""

import json

import pytest
import torch
from mmdet.evaluation import CocoMetric, VOCMetric
from mmengine.evaluator import Evaluator

from slf_mmdet.comparison.no_detections import with_zeros


def coco(tmp_path, detections, **settings):
    """A metric of mmdet on one image with one object, evaluated as a run does."""
    path = tmp_path / 'coco.json'
    box = [10.0, 10.0, 20.0, 20.0]
    content = dict(
        images=[dict(id=0, file_name='a.jpg', height=64, width=64)],
        annotations=[dict(id=1, image_id=0, category_id=1, bbox=box, area=400.0, iscrowd=0)],
        categories=[dict(id=1, name='cell')],
    )
    path.write_text(json.dumps(content))
    metric = CocoMetric(ann_file=str(path), **settings)
    metric.dataset_meta = dict(classes=('cell',))
    found = torch.tensor([[10.0, 10.0, 30.0, 30.0]])[:detections]
    instances = dict(bboxes=found, scores=torch.ones(len(found)), labels=torch.zeros(len(found), dtype=torch.long))
    metric.process({}, [dict(img_id=0, ori_shape=(64, 64), pred_instances=instances)])
    return Evaluator([metric]), metric.evaluate(1)


def test_no_detection_is_zero(tmp_path):
    evaluator, metrics = coco(tmp_path, detections=0)
    assert metrics == {}  # if this changes in mmdet, with_zeros is no longer needed
    names = ('mAP', 'mAP_50', 'mAP_75', 'mAP_s', 'mAP_m', 'mAP_l')
    assert with_zeros(metrics, evaluator) == {f'coco/bbox_{name}': 0.0 for name in names}


def test_its_keys_are_those_of_a_run_with_detections(tmp_path):
    evaluator, metrics = coco(tmp_path, detections=1)
    assert metrics['coco/bbox_mAP_50'] == 1
    assert with_zeros(metrics, evaluator) == metrics
    averages = {key for key in metrics if isinstance(metrics[key], float)}
    assert averages == set(with_zeros({}, evaluator))


def test_items_and_kinds_are_those_of_the_config(tmp_path):
    evaluator, _ = coco(tmp_path, detections=0, metric=['bbox', 'segm'], metric_items=['mAP'], prefix='my')
    assert with_zeros({'my/bbox_mAP': 0.5}, evaluator) == {'my/bbox_mAP': 0.5, 'my/segm_mAP': 0.0}


@pytest.mark.parametrize('metric', [VOCMetric(), CocoMetric(format_only=True, outfile_prefix='out')])
def test_other_evaluators_stay_as_they_are(metric):
    assert with_zeros({}, Evaluator([metric])) == {}
