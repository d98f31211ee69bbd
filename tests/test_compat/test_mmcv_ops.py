"""The stand-in for mmcv's compiled ops, through mmcv's own wrappers, against torchvision's autograd and plain loops."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
import torchvision
from mmcv import ops

from slf_mmdet.compat import mmcv_ops

from ..helpers import run_python
from ..interpreters import run_forked

pytestmark = pytest.mark.skipif(mmcv_ops.ops_are_real(), reason="mmcv's compiled ops are installed: nothing stands in")


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def boxes(n, size=20.0):
    corner = torch.rand(n, 2) * size
    return torch.cat([corner, corner + torch.rand(n, 2) * size + 1], 1)


def literal_nms(dets, scores, threshold, offset):
    def area(b):
        return (b[2] - b[0] + offset) * (b[3] - b[1] + offset)

    kept = []
    for i in scores.argsort(descending=True).tolist():
        a = dets[i].tolist()
        for j in kept:
            b = dets[j].tolist()
            w = min(a[2], b[2]) - max(a[0], b[0]) + offset
            h = min(a[3], b[3]) - max(a[1], b[1]) + offset
            inter = max(w, 0) * max(h, 0)
            if inter / (area(a) + area(b) - inter) > threshold:
                break
        else:
            kept.append(i)
    return kept


@pytest.mark.parametrize('offset', [0, 1])
def test_nms(offset):
    dets, scores = boxes(60), torch.rand(60)
    _, kept = ops.nms(dets, scores, iou_threshold=0.4, offset=offset)
    assert kept.tolist() == literal_nms(dets, scores, 0.4, offset)


def test_batched_nms_keeps_the_same_place_in_different_classes():
    dets = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 10], [0, 0, 10, 10]])
    _, kept = ops.batched_nms(
        dets, torch.tensor([0.9, 0.8, 0.7]), torch.tensor([0, 1, 0]), dict(type='nms', iou_threshold=0.5)
    )
    assert kept.tolist() == [0, 1]


@pytest.mark.parametrize('aligned', [True, False])
def test_roi_align(aligned):
    features = torch.rand(2, 3, 16, 16, requires_grad=True)
    rois = torch.cat([torch.tensor([[0.0], [1.0], [1.0]]), boxes(3, 8.0)], 1)
    ours = ops.RoIAlign(5, spatial_scale=0.5, sampling_ratio=2, aligned=aligned)(features, rois)
    theirs = torchvision.ops.roi_align(features, rois, 5, 0.5, 2, aligned)
    torch.testing.assert_close(ours, theirs)
    weight = torch.rand_like(ours)
    (our_grad,) = torch.autograd.grad((ours * weight).sum(), features)
    (their_grad,) = torch.autograd.grad((theirs * weight).sum(), features)
    torch.testing.assert_close(our_grad, their_grad)


@pytest.mark.parametrize('class_weight', [None, [0.5, 1.0, 2.0]])
def test_sigmoid_focal_loss(class_weight):
    gamma, alpha = 2.0, 0.25
    logits = torch.randn(8, 3, requires_grad=True)
    target = torch.tensor([0, 1, 2, 3, 3, 0, 1, 2])  # 3 is the background
    weight = None if class_weight is None else torch.tensor(class_weight)
    ours = ops.sigmoid_focal_loss(logits, target, gamma, alpha, weight, 'none')
    for i in range(8):
        for c in range(3):
            p = logits[i, c].sigmoid().item()
            hit = target[i] == c
            pt, at = (p, alpha) if hit else (1 - p, 1 - alpha)
            expected = -at * (1 - pt) ** gamma * torch.tensor(pt).log().item()
            expected *= 1.0 if class_weight is None else (class_weight + [1.0])[target[i]]
            assert ours[i, c].item() == pytest.approx(expected, rel=1e-4)
    (grad,) = torch.autograd.grad(ops.sigmoid_focal_loss(logits, target, gamma, alpha, weight, 'sum'), logits)
    step = torch.zeros_like(logits)
    step[2, 1] = 1e-2
    value = lambda x: ops.sigmoid_focal_loss(x, target, gamma, alpha, weight, 'sum').item()  # noqa: E731
    numeric = (value(logits.detach() + step) - value(logits.detach() - step)) / 2e-2
    assert grad[2, 1].item() == pytest.approx(numeric, rel=1e-2)


@pytest.mark.parametrize('modulated', [True, False])
def test_deformable_convolution(modulated):
    kernel, groups = 3, 2
    x = torch.rand(2, 4, 9, 9, requires_grad=True)
    offset = (torch.rand(2, 2 * kernel**2, 9, 9) - 0.5).requires_grad_()
    mask = torch.rand(2, kernel**2, 9, 9, requires_grad=True) if modulated else None
    cls = ops.ModulatedDeformConv2d if modulated else ops.DeformConv2d
    layer = cls(4, 6, kernel, padding=1, groups=groups, bias=modulated)
    if modulated:
        torch.nn.init.normal_(layer.bias)
    ours = layer(x, offset, mask) if modulated else layer(x, offset)
    theirs = torchvision.ops.deform_conv2d(
        x, offset, layer.weight, layer.bias if modulated else None, padding=1, mask=mask
    )
    torch.testing.assert_close(ours, theirs)
    inputs = [x, offset, layer.weight] + ([mask, layer.bias] if modulated else [])
    weight = torch.rand_like(ours)
    for our_grad, their_grad in zip(
        torch.autograd.grad((ours * weight).sum(), inputs), torch.autograd.grad((theirs * weight).sum(), inputs)
    ):
        torch.testing.assert_close(our_grad, their_grad, rtol=1e-4, atol=1e-5)


def test_multi_scale_deformable_attention_function():
    from mmcv.ops.multi_scale_deform_attn import MultiScaleDeformableAttnFunction, multi_scale_deformable_attn_pytorch

    shapes, start = torch.tensor([[4, 4], [2, 2]]), torch.tensor([0, 16])
    value = torch.rand(1, 20, 2, 8, requires_grad=True)
    locations = torch.rand(1, 5, 2, 2, 3, 2, requires_grad=True)
    weights = torch.rand(1, 5, 2, 2, 3, requires_grad=True)
    ours = MultiScaleDeformableAttnFunction.apply(value, shapes, start, locations, weights, 64)
    theirs = multi_scale_deformable_attn_pytorch(value, shapes, locations, weights)
    torch.testing.assert_close(ours, theirs)
    leaves = (value, locations, weights)
    for our_grad, their_grad in zip(torch.autograd.grad(ours.sum(), leaves), torch.autograd.grad(theirs.sum(), leaves)):
        torch.testing.assert_close(our_grad, their_grad)


def test_an_op_that_is_missing_says_so_when_called():
    with pytest.raises(NotImplementedError, match=r'nms_rotated is a compiled op.*build mmcv.*published wheel'):
        sys.modules['mmcv._ext'].nms_rotated(torch.rand(1, 5))
    with pytest.raises(NotImplementedError, match="roi_align with pool_mode='max'"):
        ops.RoIAlign(2, pool_mode='max')(torch.rand(1, 1, 4, 4), torch.tensor([[0.0, 0, 0, 2, 2]]))
    assert not hasattr(sys.modules['mmcv._ext'], '__no_such_dunder__')


def test_real_ops_are_used_untouched(tmp_path):
    (tmp_path / '_ext.py').write_text(
        'def __getattr__(name):\n'
        '    if name.startswith("__"): raise AttributeError\n'
        '    return lambda *a, **k: "real"\n'
    )
    script = f"""
import mmcv; mmcv.__path__.insert(0, {str(tmp_path)!r})
import slf_mmdet
from slf_mmdet.compat.mmcv_ops import ops_are_real
from mmcv.ops import nms as module
import mmcv._ext
assert ops_are_real() and mmcv._ext.nms() == 'real', mmcv._ext.__file__
"""
    run_forked('-c', script)


def test_start_up_file_serves_programs_that_import_mmdet_first(tmp_path):
    source = Path(mmcv_ops.__file__).with_name('slf_mmdet_compat.pth')
    (tmp_path / source.name).write_text(source.read_text())
    script = (
        f'import site, sys; site.addsitedir({str(tmp_path)!r}); assert "torch" not in sys.modules\n'
        'import mmdet.models; assert "slf_mmdet" not in sys.modules\n'
        'import slf_mmdet; assert not slf_mmdet.compat.mmcv_ops.ops_are_real()'
    )
    run_python('-c', script)
    assert len(source.read_text().splitlines()) == 1  # site executes each line that starts with import


def test_start_up_file_without_slf_mmdet_leaves_python_as_it_is(tmp_path):
    source = Path(mmcv_ops.__file__).with_name('slf_mmdet_compat.pth')
    (tmp_path / source.name).write_text(source.read_text())
    script = (
        f'import site, importlib.util; site.addsitedir({str(tmp_path)!r})\n'
        'import json\n'
        'assert importlib.util.find_spec("slf_mmdet") is None\n'
        'try:\n    import mmcv._ext\nexcept ModuleNotFoundError:\n    print("not found")\n'
    )
    # -S and -I: neither this environment's packages nor the working directory
    done = subprocess.run([sys.executable, '-I', '-S', '-c', script], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout == 'not found\n', done.stderr


def test_without_mmcv_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setattr(mmcv_ops.importlib.util, 'find_spec', lambda name: None if name == 'mmcv' else find_spec(name))
    with pytest.raises(ModuleNotFoundError, match='pip install "mmcv-lite'):
        mmcv_ops.apply()
