"""What every registered loss does with what heads pass: keywords, labels, empty batches, one class, extreme logits."""

import inspect

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS

from slf_mmdet import losses
from slf_mmdet.losses.base import ReducedLoss
from slf_mmdet.losses.candidate_mixture import CandidateMixture

from ..helpers import needs_torch
from . import numpy_losses
from .mixtures import FIVE

C, N = 4, 6
LABELS = torch.tensor([0, 3, 1, 2, 2, 0])
FIXED = dict(num_channels=C, alpha=1.0, scale=1.0)
DELTAS = dict(type='DeltaXYWHBBoxCoder')
CLASSES = [dict(type=name) for name in ('ClassMSELoss', 'ClassMAELoss', 'CategoricalHingeLoss', 'CosineProximityLoss')]
CLASSES += [dict(type=name) for name in ('ProbabilityCrossEntropyLoss', 'SmoothZeroOneLoss', 'BiTemperedLoss')]
SIGMOID = [dict(config, use_sigmoid=True) for config in CLASSES]
SIGMOID += [dict(type='AdaptiveRobustLoss', activation='sigmoid', **FIXED), dict(type='IoUBalancedClsLoss')]
SIGMOID += [dict(type='IoUBalancedClsLoss', gamma=2.0, alpha=0.25)]
SOFTMAX = [*CLASSES, dict(type='AdaptiveRobustLoss', activation='softmax', **FIXED)]
SOFTMAX += [dict(type='IoUBalancedClsLoss', use_sigmoid=False)]
SOFTMAX += [dict(type='SmoothedCrossEntropyLoss', label_smoothing=0.1), dict(type='SoftmaxMarginLoss')]
MIXTURES = [
    dict(type=kind, feature_dim=C, use_sigmoid=sigmoid, candidates=[dict(c, use_sigmoid=sigmoid) for c in FIVE])
    for kind in ('StochasticLoss', 'PaperStochasticLoss')
    for sigmoid in (False, True)
]
OF_CLASSES = [*SIGMOID, *SOFTMAX, *MIXTURES]
OF_BOXES = [
    dict(type='AdaptiveRobustLoss', num_channels=4),
    dict(type='IoUBalancedSmoothL1Loss'),
    dict(type='IoUBalancedSmoothL1Loss', bbox_coder=DELTAS, normalize=False),
    dict(type='StochasticLoss', feature_dim=4, candidates=[dict(type='L1Loss'), dict(type='IoUBalancedSmoothL1Loss')]),
]
# Losses of maps have tests of their own
OF_MAPS = {'BoundaryLoss', 'GeneralizedDiceLoss'}
# A row of zeros, which the background is, has no meaning to them
WITHOUT_BACKGROUND = ('SmoothZeroOneLoss', 'BiTemperedLoss', 'IoUBalancedClsLoss')
WITHOUT_BACKGROUND += ('SmoothedCrossEntropyLoss', 'SoftmaxMarginLoss')
of_classes = pytest.mark.parametrize('config', OF_CLASSES, ids=str)
of_any = pytest.mark.parametrize('config', [*OF_CLASSES, *OF_BOXES], ids=str)


def build(config, **settings):
    torch.manual_seed(0)
    return MODELS.build(dict(config, **settings))


def logits(rows=N, scale=2.0):
    return scale * torch.randn(rows, C, generator=torch.Generator().manual_seed(0))


def target_of(config, labels=LABELS):
    """Labels in the form that the loss takes."""
    return (labels, torch.linspace(0.2, 0.9, len(labels))) if config['type'] == 'IoUBalancedClsLoss' else labels


def inputs(config, rows=N):
    if config in OF_BOXES:
        boxes = torch.tensor([[0.0, 0.0, 4.0, 4.0]]).expand(rows, 4)
        return boxes + 0.1 * torch.rand(rows, 4, generator=torch.Generator().manual_seed(0)), boxes
    return logits(rows), target_of(config, LABELS[:rows])


def test_every_registered_loss_is_here():
    ours = {value for value in vars(losses).values() if inspect.isclass(value)}
    registered = {kind.__name__ for kind in ours if issubclass(kind, (ReducedLoss, CandidateMixture))}
    assert registered - {'CandidateMixture'} - OF_MAPS == {config['type'] for config in (*OF_CLASSES, *OF_BOXES)}


@of_any
def test_unknown_keywords_are_errors(config):
    pred, target = inputs(config)
    with pytest.raises((TypeError, ValueError), match="unexpected keyword argument 'class_weight'"):
        build(config)(pred, target, class_weight=torch.ones(C))


@of_classes
@pytest.mark.parametrize('label', [-1, -100, C + 1, 255])
def test_labels_out_of_range_are_errors(config, label):
    labels = LABELS.clone()
    labels[2] = label
    last = C - 1 if config['type'] in WITHOUT_BACKGROUND and config in SOFTMAX else C
    with pytest.raises(ValueError, match=f'Class labels must be from 0 to {last}, found {label}.'):
        build(config)(logits(), target_of(config, labels))


@of_classes
def test_the_background_is_a_label_where_its_row_of_zeros_has_a_meaning(config):
    labels, loss = torch.full((N,), C), build(config)
    if config['type'] in WITHOUT_BACKGROUND and config in SOFTMAX:
        with pytest.raises(ValueError, match=f'from 0 to {C - 1}, found {C}'):
            loss(logits(), target_of(config, labels))
    else:
        assert loss(logits(), target_of(config, labels)).isfinite()


@of_classes
def test_labels_of_another_type_or_shape(config):
    loss, iou = build(config), torch.rand(N)

    def run(labels):
        return loss(logits(), (labels, iou) if config['type'] == 'IoUBalancedClsLoss' else labels, avg_factor=1)

    if config not in MIXTURES:  # sampling in training mode
        torch.testing.assert_close(run(LABELS.int()), run(LABELS))
    with pytest.raises(ValueError, match='Class labels must be integers, found the type torch.float32'):
        run(LABELS.float())
    for wrong in (LABELS[:1], LABELS.unsqueeze(1)):  # both would be broadcast
        with pytest.raises(ValueError, match=r'must be class indices \(6,\)'):
            run(wrong)


@pytest.mark.parametrize('config', [*SIGMOID, *SOFTMAX], ids=str)
@pytest.mark.parametrize(('value', 'found'), [(-0.5, '-0.5'), (3.0, '3')])
def test_probabilities_out_of_range_are_errors(config, value, found):
    if config['type'] == 'IoUBalancedClsLoss':
        return
    target = torch.eye(C)[LABELS]
    target[1, 1] = value
    with pytest.raises(ValueError, match=f'class probabilities: they must be from 0 to 1, found {found}'):
        build(config)(logits(), target)


def test_the_probability_at_fault_is_named():
    target = torch.eye(C)[LABELS]
    target[0, 0], target[1, 1] = -0.005, 1.5  # the first is rounding
    with pytest.raises(ValueError, match='they must be from 0 to 1, found 1.5'):
        build(dict(type='BiTemperedLoss'))(logits(), target)


@pytest.mark.parametrize('kind', ['SmoothZeroOneLoss', 'BiTemperedLoss'])
def test_probabilities_of_exclusive_classes_sum_to_one(kind):
    target = torch.eye(C)[LABELS]
    target[3] = 0
    with pytest.raises(ValueError, match='those of a sample must sum to 1, found 0'):
        build(dict(type=kind))(logits(), target)


@of_classes
def test_ignore_index_is_the_weight_0(config):
    if config['type'] == 'IoUBalancedClsLoss':
        with pytest.raises(ValueError, match='ignore_index needs class indices as target, found tuple'):
            build(config)(logits(), target_of(config), ignore_index=255)
        return
    labels, weight = LABELS.clone(), torch.rand(N, generator=torch.Generator().manual_seed(1))
    labels[[1, 4]] = 255
    kept = (labels != 255).float()
    others = labels.masked_fill(labels == 255, 0)
    for call in (dict(), dict(avg_factor=3.0), dict(reduction_override='sum')):
        torch.testing.assert_close(
            build(config)(logits(), labels, weight, ignore_index=255, **call),
            build(config)(logits(), others, weight * kept, **call),
        )
        torch.testing.assert_close(
            build(config)(logits(), labels, ignore_index=255, **call), build(config)(logits(), others, kept, **call)
        )


def test_ignore_index_is_that_of_mmdet():
    labels = torch.tensor([0, 2, 1, 2, 4, 0])  # 4 is the background
    for weight in (None, torch.rand(N)):
        for call in (dict(), dict(avg_factor=3.0), dict(reduction_override='none')):
            theirs = MODELS.build(dict(type='CrossEntropyLoss', use_sigmoid=True))
            expected = theirs(logits(), labels, weight, ignore_index=2, **call)
            ours = build(dict(type='ProbabilityCrossEntropyLoss', use_sigmoid=True))
            torch.testing.assert_close(ours(logits(), labels, weight, ignore_index=2, **call), expected)


@pytest.mark.parametrize('config', OF_BOXES[:3], ids=str)
def test_boxes_have_no_ignore_index_and_the_shape_of_their_targets(config):
    pred, target = inputs(config)
    with pytest.raises(ValueError, match=f'{config["type"]}: ignore_index needs class indices as target, found torch'):
        build(config)(pred, target, ignore_index=0)
    with pytest.raises(ValueError, match=r'\(6, 4\).*\(1, 4\)'):
        build(config)(pred, target[:1])


REDUCTIONS = [dict(), dict(avg_factor=0.0), dict(avg_factor=2.0), dict(reduction_override='sum')]
REDUCTIONS += [dict(reduction_override='none')]


@of_any
@pytest.mark.parametrize('call', REDUCTIONS, ids=str)
def test_an_empty_batch_is_0_with_a_graph(config, call):
    loss = build(config)
    for weight in (None, torch.zeros(0)):
        pred, target = inputs(config, rows=0)
        pred.requires_grad_()
        value = loss(pred, target, weight, **call)
        assert value.sum() == 0 and value.dim() == (0 if call.get('reduction_override') != 'none' else value.dim())
        value.sum().backward()
        assert pred.grad.shape == (0, 4)
        assert all(parameter.grad is not None and not parameter.grad.any() for parameter in loss.parameters())


def test_a_mean_without_any_element_is_0_for_one_candidate_too():
    """Those of mmdet differ: nan for cross-entropy, 0 for L1."""
    for candidate in (dict(type='CrossEntropyLoss'), dict(type='ClassMSELoss')):
        loss = build(dict(type='StochasticLoss', candidates=[candidate], feature_dim=C))
        assert loss(*inputs(candidate, rows=0)) == 0


@pytest.mark.parametrize('config', SOFTMAX, ids=str)
def test_softmax_of_one_class_is_an_error(config):
    settings = dict(num_channels=1) if config['type'] == 'AdaptiveRobustLoss' else {}
    with pytest.raises(ValueError, match=r'at least two.*\(6, 1\)'):
        build(config, **settings)(torch.randn(N, 1), target_of(config, torch.zeros(N, dtype=torch.long)))


@pytest.mark.parametrize('config', SIGMOID, ids=str)
def test_sigmoid_of_one_class_learns_objects_and_background(config):
    settings = dict(num_channels=1) if config['type'] == 'AdaptiveRobustLoss' else {}
    loss = build(config, **settings)
    pred = torch.zeros(2, 1, requires_grad=True)
    target = target_of(config, torch.tensor([0, 1]))  # an object, and the background
    if config['type'] == 'CosineProximityLoss':
        with pytest.raises(ValueError, match=r'Cosine proximity needs at least two classes.*\(2, 1\)'):
            loss(pred, target)
        return
    (grad,) = torch.autograd.grad(loss(pred, target), pred)
    assert grad[0] < 0 < grad[1]


@of_classes
@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize('size', [20.0, 100.0, 3e4])
def test_extreme_logits_have_the_loss_and_gradient_of_double_precision(config, dtype, size):
    pred = torch.tensor(
        [[size, 0, -size, 1], [-size, -size, -size, -size - 1], [0, size, size, 0], [size / 2, -size, 0, size]]
    ).to(dtype)
    target = target_of(config, torch.tensor([2, 0, 0, 3]))
    results = []
    for kind in (dtype, torch.float64):
        loss, x = build(config).to(torch.float64 if kind == torch.float64 else torch.float32), pred.to(kind)
        x.requires_grad_()
        value = loss(x, target, avg_factor=1)
        (grad,) = torch.autograd.grad(value, x)
        results.append((value.double(), grad.double()))
    if config in MIXTURES:  # sampled; their gradient is finite where it is one of half precision
        assert results[0][0].isfinite() and results[0][1].nan_to_num(posinf=0, neginf=0).isfinite().all()
        return
    torch.testing.assert_close(results[0][0], results[1][0], rtol=1e-5, atol=1e-6)
    precision = dict(rtol=1e-4, atol=1e-6) if dtype == torch.float32 else dict(rtol=1e-2, atol=1e-3)
    torch.testing.assert_close(results[0][1], results[1][1], **precision)


@pytest.mark.parametrize('use_sigmoid', [False, True])
@pytest.mark.parametrize('name', ['mean_absolute_error', 'categorical_hinge', 'cosine_proximity'])
def test_candidates_of_unlikely_classes_equal_numpy(name, use_sigmoid):
    """All probabilities below 1e-8, where the norm that torch divides by is cut off."""
    pred = torch.tensor([[-25.0, -26.0, -24.5], [-60.0, -58.0, -90.0]])
    labels = torch.tensor([0, 1])
    expected = [numpy_losses.candidate(name, p, y, use_sigmoid) for p, y in zip(pred.double().numpy(), labels)]
    found = getattr(losses, name)(pred, labels, use_sigmoid)
    np.testing.assert_allclose(found, np.stack(expected), rtol=1e-5, atol=1e-30)


def test_cosine_of_unlikely_classes_still_has_a_gradient():
    # p is (e^-25, e^-26) up to 1e-11: cos = 1 / sqrt(1 + e^-2), d(1 - cos)/dz_2 = e^-2 (1 + e^-2)^-1.5
    pred = torch.tensor([[-25.0, -26.0]], requires_grad=True)
    loss = losses.cosine_proximity(pred, torch.tensor([0]), use_sigmoid=True)
    (grad,) = torch.autograd.grad(loss.sum(), pred)
    slope = np.exp(-2) * (1 + np.exp(-2)) ** -1.5
    torch.testing.assert_close(grad, torch.tensor([[-slope, slope]], dtype=torch.float32))


@needs_torch('2.2', 'one_hot of the meta device')
def test_labels_on_another_device_are_left_to_its_kernels():
    """To read them would wait for it. The meta device has no values at all."""
    labels = torch.zeros(N, dtype=torch.long, device='meta')
    assert losses.mean_squared_error(torch.zeros(N, C, device='meta'), labels).shape == (N, C)
