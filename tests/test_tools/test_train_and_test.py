"""Training, resuming and testing through the command line."""

import json
import re

import pytest
import torch

from ..helpers import DIGITS_SLF, IN_PROCESS, ROOT
from ..interpreters import run_forked

PARTS = ('coord', 'cls', 'obj', 'noobj')


def load(work_dir, epoch):
    return torch.load(work_dir / f'epoch_{epoch}.pth', map_location='cpu')


def test_weights_are_in_every_log_line(trained):
    lines = [line for line in trained[1].splitlines() if 'Epoch(train)' in line]
    assert len(lines) == 4  # 64 images in batches of 16
    for line in lines:
        weights = [float(re.search(rf'balance_{part}: ([\d.]+)', line)[1]) for part in PARTS]
        assert sum(weights) == pytest.approx(7.5, abs=1e-3)


def test_weights_are_in_the_json_log_and_in_tensorboard(trained):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (log,) = trained[0].glob('*/vis_data/scalars.json')
    assert all(f'balance_{part}' in json.loads(log.read_text().splitlines()[0]) for part in PARTS)
    (events,) = trained[0].glob('*/vis_data/events*')
    accumulator = EventAccumulator(str(events)).Reload()
    assert {f'balance_{part}' for part in PARTS} <= set(accumulator.Tags()['scalars'])


def test_the_metric_is_evaluated(trained):
    assert re.search(r'Epoch\(val\) \[1\].*pascal_voc/mAP: \d', trained[1])


def test_auto_scale_lr_is_on(trained):
    assert 'LR is set based on batch size of 16 and the current batch size is 16' in trained[1]


def test_resume_continues_with_the_balancer_where_it_was(train, trained_copy):
    before = load(trained_copy, 1)
    done = train(trained_copy, 2, '--resume')
    assert 'resumed epoch: 1' in done.stdout and 'Epoch(train) [1]' not in done.stdout
    after = load(trained_copy, 2)
    state = 'bbox_head.loss_balancer.'
    for owner in ('', 'sampler.', 'signal.'):
        assert int(before['state_dict'][f'{state}{owner}counter.steps']) == 4
        assert int(after['state_dict'][f'{state}{owner}counter.steps']) == 8
    seed = f'{state}sampler.generator.seed'
    assert after['state_dict'][seed] == before['state_dict'][seed]
    assert after['message_hub']['runtime_info']['iter'] == 7


def test_tools_test_gives_the_same_map_as_the_training_did(trained, digits, tmp_path):
    work_dir, output = trained
    args = (DIGITS_SLF, work_dir / 'epoch_1.pth', '--work-dir', tmp_path, '--cfg-options', *IN_PROCESS)
    done = run_forked(ROOT / 'tools/test.py', *args, cwd=digits)
    pattern = r'pascal_voc/mAP: ([\d.]+)'
    assert re.search(pattern, done.stdout)[1] == re.search(pattern, output)[1]


def test_inference_api(trained, digits):
    from mmdet.apis import DetInferencer

    inferencer = DetInferencer(str(DIGITS_SLF), str(trained[0] / 'epoch_1.pth'), device='cpu', show_progress=False)
    image = next((digits / 'data/digits_voc/VOCdevkit/VOC2007/JPEGImages').iterdir())
    result = inferencer(str(image), pred_score_thr=0.0)['predictions'][0]
    assert {'bboxes', 'labels', 'scores'} <= set(result)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="mmengine's AmpOptimWrapper needs a GPU")
def test_amp(train, tmp_path):
    assert 'Epoch(val) [1]' in train(tmp_path, 1, '--amp').stdout


def test_missing_data_is_said_before_training(tmp_path):
    done = run_forked(ROOT / 'tools/train.py', DIGITS_SLF, '--work-dir', tmp_path / 'w', cwd=tmp_path, check=False)
    assert done.returncode == 1
    assert re.search(r'^train: .*data/digits_voc/VOCdevkit', done.stdout, re.MULTILINE)
