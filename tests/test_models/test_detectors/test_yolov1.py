"""YOLOv1 as a whole: training step, detection quality, mixed precision, gradient accumulation, and two processes."""

import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.optim import OptimWrapper

from slf_mmdet.losses.soft_ap import best_detections, soft_average_precision

from ...helpers import CONFIGS, DIGITS_SLF
from ...processes import run_in_two
from .small_yolov1 import batch, build_detector, process


def loss_of(detector, data):
    data = detector.data_preprocessor(data, training=True)
    return detector(**data, mode='loss')


def test_a_train_step_moves_every_parameter_of_detector_and_decision_network():
    detector = build_detector()
    wrapper = OptimWrapper(torch.optim.SGD(detector.parameters(), lr=0.01))
    before = {name: value.clone() for name, value in detector.named_parameters()}
    for seed in range(2):  # the decision network's hidden layer moves once its output layer is no longer zero
        logs = detector.train_step(batch(seed=seed), wrapper)
    assert all(torch.isfinite(value) for value in logs.values())
    still = [name for name, value in detector.named_parameters() if torch.equal(value, before[name])]
    assert still == []


def test_a_detector_starts_from_the_same_weights_with_any_balancer():
    """As a run makes it: built, then initialised, from the seed of the run."""
    starts = []
    for config in (CONFIGS / 'yolov1' / 'yolov1_nano_1xb16-12e_digits-112px.py', DIGITS_SLF):
        cfg = Config.fromfile(config).model
        torch.manual_seed(0)
        detector = MODELS.build(cfg)
        detector.init_weights()
        starts.append({key: value for key, value in detector.state_dict().items() if 'loss_balancer' not in key})
    assert starts[0].keys() == starts[1].keys()
    assert all(torch.equal(value, starts[1][key]) for key, value in starts[0].items())


def test_quality_of_another_batch_is_that_of_evaluation_mode_and_leaves_nothing_behind():
    detector = build_detector().train()
    state = {key: value.clone() for key, value in detector.state_dict().items()}
    value = detector.quality_of(batch(seed=1))
    (gradient,) = torch.autograd.grad(value, next(detector.backbone.parameters()))
    assert gradient.isfinite().all() and gradient.abs().sum() > 0
    assert all(module.training for module in detector.modules())
    assert all(torch.equal(value, state[key]) for key, value in detector.state_dict().items())

    detector.eval()
    data = detector.data_preprocessor(batch(seed=1), training=False)
    (output,) = detector(data['inputs'], mode='tensor')
    objects = [sample.gt_instances for sample in data['data_samples']]
    truth = [torch.cat([each.bboxes for each in objects]) / 112, torch.cat([each.labels for each in objects])]
    image = torch.arange(4).repeat_interleave(2)  # two objects each
    expected = soft_average_precision(*best_detections(*detector.bbox_head.decode(output)), *truth, image)
    assert expected > 0
    torch.testing.assert_close(value, expected)


def test_under_autocast_the_loss_is_computed_in_fp32():
    detector = build_detector().eval()
    data = detector.data_preprocessor(batch(), training=True)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        (output,) = detector(data['inputs'], mode='tensor')
        assert output.dtype == torch.bfloat16
        mixed = detector(**data, mode='loss')
    instances = [sample.gt_instances for sample in data['data_samples']]
    metas = [sample.metainfo for sample in data['data_samples']]
    exact = detector.bbox_head.loss_by_feat(output.float(), instances, metas)
    assert all(value.dtype == torch.float32 for value in mixed.values())
    assert {key: value.item() for key, value in mixed.items()} == {key: value.item() for key, value in exact.items()}


def test_gradients_accumulate_as_in_one_batch():
    """With a balancer whose loss is a mean over the images, as those are that look at no values."""
    balancer = dict(type='PaperSLFBalancer', sampler=dict(type='Softmax'))

    def gradients(chunks):
        # fixed statistics: batch normalisation would see other batches
        detector = build_detector(loss_balancer=balancer).eval()
        data = batch(4)
        for chunk in range(chunks):
            part = {key: value[chunk * 4 // chunks : (chunk + 1) * 4 // chunks] for key, value in data.items()}
            loss, _ = detector.parse_losses(loss_of(detector, part))
            (loss / chunks).backward()
        return [parameter.grad for parameter in detector.parameters()]

    for one, two in zip(gradients(1), gradients(2)):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-5)


def test_predictions_do_not_depend_on_the_balancer():
    detector, plain = build_detector().eval(), build_detector().eval()
    plain.bbox_head.loss_balancer = None
    results = [model(**model.data_preprocessor(batch(), training=False), mode='predict') for model in (detector, plain)]
    for ours, theirs in zip(*results):
        assert torch.equal(ours.pred_instances.bboxes, theirs.pred_instances.bboxes)
        assert torch.equal(ours.pred_instances.scores, theirs.pred_instances.scores)


def test_two_processes_stay_equal_and_do_not_hang(tmp_path):
    first, second = run_in_two(process, tmp_path / 'parameters')
    for find_unused in (False, True):
        start = dict(build_detector().named_parameters())
        for name, value in first[find_unused].items():
            assert torch.equal(value, second[find_unused][name]), name
        assert not torch.equal(
            first[find_unused]['bbox_head.loss_balancer.decision_network.output.bias'],
            start['bbox_head.loss_balancer.decision_network.output.bias'],
        )
