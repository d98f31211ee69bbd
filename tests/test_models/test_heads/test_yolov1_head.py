"""The YOLOv1 head inside mmdet: targets from data samples, predictions in original pixels, balanced loss."""

import pytest
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData

from slf_mmdet.balancers import StaticBalancer
from slf_mmdet.balancers.part_gradients import part_gradients
from slf_mmdet.losses import yolov1
from slf_mmdet.losses.yolov1 import PARTS
from slf_mmdet.models.heads import yolov1_head
from slf_mmdet.slf import MultipleGumbelSoftmax, SLFBalancer

S, B, C = 7, 2, 3
DIGITS = ('zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine')
TEST_CFG = ConfigDict(score_thr=0.05, nms=dict(type='nms', iou_threshold=0.5), max_per_img=100)


def build_head(**kwargs):
    torch.manual_seed(0)
    defaults = dict(type='YOLOV1Head', num_classes=C, in_channels=8, head_type='conv', hidden_channels=(8,))
    return MODELS.build({**defaults, 'test_cfg': TEST_CFG, **kwargs})


def sample(boxes=(), labels=(), ignored=(), input_size=(140, 140), scale=(1.0, 1.0)):
    """Boxes in pixels of the network's input, (height, width) = input_size."""
    original = (round(input_size[0] / scale[1]), round(input_size[1] / scale[0]))
    data = DetDataSample(
        metainfo=dict(img_shape=input_size, batch_input_shape=input_size, ori_shape=original, scale_factor=scale)
    )
    data.gt_instances = InstanceData(
        bboxes=torch.tensor(boxes, dtype=torch.float).view(-1, 4), labels=torch.tensor(labels, dtype=torch.long)
    )
    data.ignored_instances = InstanceData(
        bboxes=torch.tensor(ignored, dtype=torch.float).view(-1, 4), labels=torch.zeros(len(ignored), dtype=torch.long)
    )
    return data


def predict(output, meta=None, rescale=True, **cfg):
    head = build_head()
    return head.predict_by_feat(output, [meta or sample().metainfo], ConfigDict({**TEST_CFG, **cfg}), rescale=rescale)[
        0
    ]


def output_with(*boxes):
    """An output that is zero but for boxes (row, column, box, x, y, w, h, confidence, class scores)."""
    output = torch.zeros(1, 5 * B + C, S, S)
    for row, column, box, x, y, w, h, confidence, scores in boxes:
        output[0, 5 * box : 5 * box + 5, row, column] = torch.tensor([x, y, w**0.5, h**0.5, confidence])
        output[0, 5 * B :, row, column] = torch.tensor(scores)
    return output


@pytest.mark.parametrize(
    ('kwargs', 'channels'),
    [
        (dict(head_type='fc', hidden_channels=(16,)), 8),
        (dict(head_type='fc', hidden_channels=()), 8),
        (dict(head_type='local', hidden_channels=(4,)), 8),
        (dict(head_type='conv'), 8),
        (dict(head_type='conv', boxes_per_cell=3), 8),
    ],
)
def test_output_of_each_form(kwargs, channels):
    head = build_head(**kwargs)
    (output,) = head((torch.rand(2, channels, S, S),))
    assert output.shape == (2, 5 * kwargs.get('boxes_per_cell', B) + C, S, S)


@pytest.mark.parametrize('size', [13, 14])
def test_pooling_fits_a_finer_feature_map(size):
    (output,) = build_head(pool_size=2)((torch.rand(2, 8, size, size),))
    assert output.shape[-2:] == (S, S)


def test_wrong_feature_map():
    with pytest.raises(ValueError, match=r'\(8, 7, 7\), found \(8, 6, 7\).*keep_ratio=False'):
        build_head()((torch.rand(2, 8, 6, 7),))


def test_wrong_head_type():
    with pytest.raises(ValueError, match=r"one of \['conv', 'fc', 'local'\], found 'dense'"):
        build_head(head_type='dense')


def test_prediction_by_hand():
    # Cell (2, 4), centre (4.5 / 7, 2.5 / 7), size 0.2 x 0.1 of 140 px: centre (90, 50), 28 x 14 px
    result = predict(output_with((2, 4, 1, 0.5, 0.5, 0.2, 0.1, 0.8, [0.1, 0.9, 0.0])))
    assert result.labels.tolist() == [1, 0]
    assert result.scores.tolist() == pytest.approx([0.72, 0.08])  # class score times confidence
    assert result.bboxes[0].tolist() == pytest.approx([76, 43, 104, 57], abs=1e-3)


def test_boxes_are_in_original_pixels_without_keep_ratio():
    # The original image is 280 x 70 (w x h), squeezed to 140 x 140: scale factors 0.5 and 2.
    meta = sample(scale=(0.5, 2.0)).metainfo
    output = output_with((2, 4, 0, 0.5, 0.5, 0.2, 0.1, 1.0, [1.0, 0.0, 0.0]))
    assert predict(output, meta).bboxes[0].tolist() == pytest.approx([152, 21.5, 208, 28.5], abs=1e-3)
    assert predict(output, meta, rescale=False).bboxes[0].tolist() == pytest.approx([76, 43, 104, 57], abs=1e-3)


def test_boxes_are_clipped_to_the_image():
    result = predict(output_with((0, 0, 0, 0.5, 0.5, 0.9, 0.9, 1.0, [1.0, 0, 0])))
    assert result.bboxes[0, :2].tolist() == [0, 0]


def test_nms_is_per_class():
    same_place = dict(x=0.5, y=0.5, w=0.2, h=0.2)
    boxes = [(3, 3, box, *same_place.values(), confidence, [0.9, 0.8, 0]) for box, confidence in ((0, 1.0), (1, 0.9))]
    result = predict(output_with(*boxes))
    assert sorted(result.labels.tolist()) == [0, 1]  # of each class the better box stays
    assert result.scores.tolist() == pytest.approx([0.9, 0.8])


def test_two_negative_outputs_are_no_detection():
    assert len(predict(output_with((3, 3, 0, 0.5, 0.5, 0.2, 0.2, -1.0, [-1.0, 0, 0])))) == 0


def test_max_per_image():
    boxes = [(row, 0, 0, 0.5, 0.5, 0.1, 0.1, 1.0, [0.5 + row / 20, 0, 0]) for row in range(7)]
    assert predict(output_with(*boxes), max_per_img=3).scores.tolist() == pytest.approx([0.8, 0.75, 0.7])


def test_a_perfect_output_has_no_loss_and_finds_its_objects():
    boxes, labels = [[20.0, 30.0, 60.0, 80.0], [100.0, 100.0, 140.0, 120.0]], [2, 0]
    data = sample(boxes, labels)
    rows = []
    for (x1, y1, x2, y2), label in zip(boxes, labels):
        x, y = (x1 + x2) / 2 / 20, (y1 + y2) / 2 / 20  # cells are 20 px
        scores = [1.0 if c == label else 0.0 for c in range(C)]
        rows.append((int(y), int(x), 0, x % 1, y % 1, (x2 - x1) / 140, (y2 - y1) / 140, 1.0, scores))
    output = output_with(*rows)
    losses = build_head().loss_by_feat(output, [data.gt_instances], [data.metainfo])
    assert all(losses[f'loss_{name}'].item() == pytest.approx(0, abs=1e-6) for name in PARTS)
    result = predict(output, data.metainfo)
    assert result.labels.tolist() == labels
    torch.testing.assert_close(result.bboxes, torch.tensor(boxes), atol=1e-3, rtol=0)


def test_difficult_objects_are_no_targets():
    head = build_head()
    x = (torch.rand(1, 8, S, S),)
    head.eval()
    difficult = head.loss(x, [sample(ignored=[[20.0, 30.0, 60.0, 80.0]])])
    assert difficult['loss_coord'] == 0 and difficult['loss_cls'] == 0
    assert difficult['loss_noobj'] == head.loss(x, [sample()])['loss_noobj']


def test_loss_has_the_weights_of_the_paper():
    head = build_head().eval()
    x, data = (torch.rand(2, 8, S, S),), [sample([[20.0, 30.0, 60.0, 80.0]], [1]), sample()]
    weighted = head.loss(x, data)
    unweighted = build_head(loss_balancer=dict(type='StaticBalancer', base_weights=dict.fromkeys(PARTS, 1))).eval()
    unweighted.load_state_dict(head.state_dict())
    plain = unweighted.loss(x, data)
    for name, weight in dict(coord=5, cls=1, obj=1, noobj=0.5).items():
        assert weighted[f'loss_{name}'].item() == pytest.approx(weight * plain[f'loss_{name}'].item(), rel=1e-5)
        assert weighted[f'balance_{name}'] == weight


def test_balancer_is_chosen_by_config_and_keeps_the_base_weights_left_out():
    sampler = dict(type='MultipleGumbelSoftmax', num_samples=3)
    head = build_head(loss_balancer=dict(type='SLFBalancer', sampler=sampler, base_weights=dict(coord=2)))
    assert isinstance(head.loss_balancer, SLFBalancer)
    assert isinstance(head.loss_balancer.sampler, MultipleGumbelSoftmax)
    assert head.loss_balancer.base_weights.tolist() == [2, 1, 1, 0.5]
    assert isinstance(build_head().loss_balancer, StaticBalancer)


class Recorder(StaticBalancer):
    """Keeps what the head hands over in each step."""

    def __init__(self):
        super().__init__(parts=PARTS)
        self.steps = []

    def compute_weights(self, step):
        self.steps.append(step)
        return super().compute_weights(step)


def recorded(head, outputs, data):
    """What the balancer of a head is given, one step for each output."""
    head.loss_balancer = Recorder()
    for output in outputs:
        head.loss_by_feat(output, [data.gt_instances], [data.metainfo])
    return head.loss_balancer.steps


def test_the_quality_is_highest_for_a_perfect_output():
    data = sample([[20.0, 30.0, 60.0, 80.0], [100.0, 100.0, 140.0, 120.0]], [2, 0])
    perfect = [
        (2, 2, 0, 0.0, 0.75, 40 / 140, 50 / 140, 1.0, [0, 0, 1]),
        (5, 6, 0, 0.0, 0.5, 40 / 140, 20 / 140, 1.0, [1, 0, 0]),
    ]
    wrong_box = [(2, 2, 0, 0.0, 0.75, 0.9, 0.9, 1.0, [0, 0, 1]), perfect[1]]
    wrong_class = [(2, 2, 0, 0.0, 0.75, 40 / 140, 50 / 140, 1.0, [0, 1, 0]), perfect[1]]
    steps = recorded(build_head(), [output_with(*rows) for rows in (perfect, wrong_box, wrong_class, [])], data)
    found = [step.detection_quality('a test').value().item() for step in steps]
    assert found[0] > 0.95 and all(value < 0.6 for value in found[1:3]) and found[3] == 0


def test_the_gain_of_a_part_is_that_of_outputs_in_which_it_is_right():
    """Rows with one thing wrong each; a solved part is the row in which that thing is right."""
    data = sample([[20.0, 30.0, 60.0, 80.0], [100.0, 100.0, 140.0, 120.0]], [2, 0])
    perfect = (2, 2, 0, 0.0, 0.75, 40 / 140, 50 / 140, 1.0, [0, 0, 1])
    other = (5, 6, 0, 0.0, 0.5, 40 / 140, 20 / 140, 1.0, [1, 0, 0])
    wrong = dict(
        coord=(2, 2, 0, 0.0, 0.75, 0.9, 0.9, 1.0, [0, 0, 1]),
        cls=(*perfect[:8], [0, 1, 0]),
        obj=(*perfect[:7], 0.0, perfect[8]),
    )
    sure_empty_cell = (0, 0, 1, 0.5, 0.5, 0.3, 0.3, 3.0, [1, 0, 0])
    outputs = [output_with(perfect, other)] + [output_with(row, other) for row in wrong.values()]
    outputs += [output_with(perfect, other, sure_empty_cell)]
    found = []
    for step in recorded(build_head(), [output.requires_grad_() for output in outputs], data):
        quality = step.detection_quality('a test')
        found.append((quality.value().item(), dict(zip(PARTS, quality.gains(step.parts, step.names).tolist()))))
    best = found[0][0]
    assert max(abs(gain) for gain in found[0][1].values()) < 1e-3
    for (value, gains), name in zip(found[1:], [*wrong, 'noobj']):
        assert value < best - 0.05
        assert gains[name] == pytest.approx(best - value, abs=1e-3)
        assert gains[name] == max(gains.values())


def test_squares_are_solved_by_twice_the_step_that_takes_them_to_0_to_first_order():
    """Of |x|^2, whose gradient is 2x, one step subtracts |x|^2 / |2x|^2 * 2x = x / 2: twice that solves it."""
    step_scale = {}
    for loss_cls in (None, dict(type='CrossEntropyLoss')):
        (step,) = recorded(build_head(loss_cls=loss_cls), [output_with()], sample())
        step_scale[bool(loss_cls)] = step.detection_quality('a test').step_scale
    assert step_scale[False] == dict.fromkeys(PARTS, 2)
    assert step_scale[True] == dict(coord=2, cls=1, obj=2, noobj=2)  # cross-entropy is no square


@pytest.mark.parametrize('target', ['training_loss', 'detection_quality'])
def test_gradient_alignment_trains_the_decision_network(target):
    signal = dict(type='GradientAlignment', target=target, momentum=0.5, interval=1)
    head = build_head(loss_balancer=dict(type='SLFBalancer', signal=signal), dropout=0.0)
    x = (torch.rand(2, 8, S, S),)
    data = [sample([[20.0, 30.0, 60.0, 80.0]], [1]), sample([[40.0, 30.0, 90.0, 80.0]], [0])]
    for _ in range(2):  # the first batch has none before it
        head.zero_grad()
        sum(value for key, value in head.loss(x, data).items() if 'loss' in key).backward()
    assert head.loss_balancer.signal.alignment.mean.abs().sum() > 0
    assert head.loss_balancer.decision_network.output.weight.grad.abs().sum() > 0


def test_images_of_the_batch_are_named():
    data = sample()
    data.set_metainfo(dict(img_path='VOC2007/JPEGImages/000017.jpg'))
    (step,) = recorded(build_head(), [output_with()], data)
    assert step.image_ids == ('VOC2007/JPEGImages/000017.jpg',)


def test_the_head_alone_has_no_detections_of_other_images(digits):
    """The detector has, which it hands on."""
    root = str(digits / 'data/digits_voc/VOCdevkit') + '/'
    prefix = dict(sub_data_root='VOC2007/')
    dataset = dict(
        type='CheckedVOCDataset', data_root=root, ann_file='VOC2007/ImageSets/Main/test.txt', data_prefix=prefix
    )
    dataset.update(metainfo=dict(classes=DIGITS), pipeline=[dict(type='LoadImageFromFile'), dict(type='PackDetInputs')])
    signal = dict(type='ValidationSignal', dataset=dataset, batch_size=2)
    head = build_head(loss_balancer=dict(type='SLFBalancer', signal=signal))
    data = [sample([[20.0, 30.0, 60.0, 80.0]], [1])]
    wanted = (
        'the signal ValidationSignal needs `quality_of`, which is not offered in this step.*'
        r"Or take signal=dict\(type='GradientAlignment'\)"
    )
    with pytest.raises(ValueError, match=wanted):
        head.loss((torch.rand(1, 8, S, S),), data)


@pytest.mark.parametrize('head_type', ['conv', 'fc', 'local'])
@pytest.mark.parametrize('hidden_channels', [(16,), ()])
def test_parts_are_compared_at_a_layer_that_they_have_in_common(head_type, hidden_channels):
    """Of the output layer's rows each part has its own, so gradients there say nothing of one another."""
    torch.manual_seed(0)
    head = build_head(head_type=head_type, hidden_channels=hidden_channels, dropout=0.0)
    head.loss_balancer = Recorder()
    data = [sample([[20.0, 30.0, 60.0, 80.0]], [1]), sample([[40.0, 30.0, 90.0, 80.0]], [0])]
    head.loss((torch.rand(2, 8, S, S),), data)
    (step,) = head.loss_balancer.steps
    coord, cls, obj, _ = part_gradients(step.parts, step.shared_parameters('a test'))
    everywhere = (coord * cls * obj != 0).float().mean().item()
    assert everywhere == 0 if not hidden_channels else everywhere > 0.5


@pytest.mark.parametrize('head_type', ['conv', 'fc', 'local'])
def test_norms_of_gradients_are_compared_at_the_output_layer(head_type):
    balancer = dict(type='SLFBalancer', prior=dict(type='EqualGradientNorms'))
    head = build_head(head_type=head_type, hidden_channels=(16,), dropout=0.0, loss_balancer=balancer)
    parts, squares = [], []
    head.loss_balancer.register_forward_pre_hook(lambda module, args: parts.append(args[0]))
    data = [sample([[20.0, 30.0, 60.0, 80.0]], [1]), sample([[40.0, 30.0, 90.0, 80.0]], [0])]
    head.loss((torch.rand(2, 8, S, S),), data)
    parameter = head.layers[-1].weight if head_type == 'conv' else head.layers[-1].bias
    for name in PARTS:
        (gradient,) = torch.autograd.grad(parts[0][name].mean(), parameter, retain_graph=True)
        squares.append(gradient.square().sum())
    assert min(squares) > 0
    torch.testing.assert_close(head.loss_balancer.prior.sq_grad_norm_mean.mean, torch.stack(squares))


@pytest.mark.parametrize('balancer', ['StaticBalancer', 'SLFBalancer'])
def test_loss_falls_when_trained(balancer):
    head = build_head(loss_balancer=dict(type=balancer), dropout=0.0)
    x = (torch.rand(4, 8, S, S),)
    data = [sample([[20.0 * i, 30.0, 60.0 + 10 * i, 80.0]], [i % C]) for i in range(4)]
    optimizer = torch.optim.Adam(head.parameters(), lr=0.01)
    history = []
    for _ in range(60):
        loss = sum(value for key, value in head.loss(x, data).items() if 'loss' in key)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append(loss.item())
    assert sum(history[-5:]) < 0.3 * sum(history[:5])


def test_inference_does_not_touch_the_balancer():
    head = build_head(loss_balancer=dict(type='SLFBalancer')).eval()
    head.loss_balancer = None
    head.predict((torch.rand(1, 8, S, S),), [sample()], rescale=True)


def class_part_head(use_sigmoid=False, **kwargs):
    loss_cls = dict(type='CrossEntropyLoss', use_sigmoid=use_sigmoid)
    return build_head(loss_cls=loss_cls, **kwargs)


def refused(*args):
    raise AssertionError('the squared class error is computed')


def test_the_squared_class_error_is_not_computed_beside_another_class_loss(monkeypatch):
    for module in (yolov1, yolov1_head):
        monkeypatch.setattr(module, 'squared_class_error', refused)
    data = [sample([[20.0, 30.0, 60.0, 80.0]], [1])]
    x = (torch.rand(1, 8, S, S),)
    assert class_part_head().loss(x, data)['loss_cls'] > 0
    with pytest.raises(AssertionError, match='the squared class error is computed'):
        build_head().loss(x, data)


@pytest.mark.parametrize('use_sigmoid', [False, True])
def test_another_class_loss_is_summed_over_the_cells_with_an_object(use_sigmoid):
    torch.manual_seed(0)
    output = torch.randn(2, 5 * B + C, S, S)
    data = [sample([[20.0, 30.0, 60.0, 80.0], [100.0, 100.0, 140.0, 120.0]], [2, 0]), sample()]
    instances, metas = [one.gt_instances for one in data], [one.metainfo for one in data]
    found = class_part_head(use_sigmoid).loss_by_feat(output, instances, metas)
    # Centres (40, 55) and (120, 110) in cells of 20 px: rows 2 and 5, columns 2 and 6
    logits = torch.stack([output[0, 5 * B :, 2, 2], output[0, 5 * B :, 5, 6]])
    plain = MODELS.build(dict(type='CrossEntropyLoss', use_sigmoid=use_sigmoid, reduction='sum'))
    expected = plain(logits, torch.tensor([2, 0])) / 2  # mean over the two images
    torch.testing.assert_close(found['loss_cls'], expected)
    others = build_head().loss_by_feat(output, instances, metas)
    assert all(found[f'loss_{name}'] == others[f'loss_{name}'] for name in ('coord', 'obj', 'noobj'))


CANDIDATES = [dict(type='CrossEntropyLoss'), dict(type='CategoricalHingeLoss')]
MIXTURES = ('StochasticLoss', 'PaperStochasticLoss')


@pytest.mark.parametrize('mixture', MIXTURES)
def test_candidates_as_the_class_loss_are_trained_with_the_head(mixture):
    head = build_head(loss_cls=dict(type=mixture, candidates=CANDIDATES, feature_dim=C))
    losses = head.loss((torch.rand(1, 8, S, S),), [sample([[20.0, 30.0, 60.0, 80.0]], [1])])
    sum(value for key, value in losses.items() if 'loss' in key).backward()
    assert head.loss_cls.decision_network.output.bias.grad.abs().sum() > 0


CLASS_LOSSES = [
    dict(type='CrossEntropyLoss'),
    dict(type='CrossEntropyLoss', use_sigmoid=True),
    *(dict(type=mixture, candidates=CANDIDATES, feature_dim=C) for mixture in MIXTURES),
]


@pytest.mark.parametrize('loss_cls', CLASS_LOSSES, ids=['softmax', 'sigmoid', *MIXTURES])
def test_a_batch_without_objects_has_no_class_loss(loss_cls):
    head = build_head(loss_cls=loss_cls)
    losses = head.loss((torch.rand(2, 8, S, S),), [sample(), sample()])
    assert losses['loss_cls'] == 0 and losses['loss_noobj'] > 0
    sum(value for key, value in losses.items() if 'loss' in key).backward()
    assert head.layers[-1].bias.grad.isfinite().all()


def test_predictions_are_read_as_the_class_loss_reads_them():
    output = output_with((2, 4, 1, 0.5, 0.5, 0.2, 0.1, 0.8, [0.0, 2.0, 0.0]))
    for head, score in (
        (class_part_head(), torch.tensor([0.0, 2.0, 0.0]).softmax(0)[1]),
        (class_part_head(use_sigmoid=True), torch.tensor(2.0).sigmoid()),
    ):
        result = head.predict_by_feat(output, [sample().metainfo])[0]
        assert result.labels[0] == 1 and result.scores[0].item() == pytest.approx(0.8 * score.item())
