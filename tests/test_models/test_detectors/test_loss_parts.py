"""From the losses of a detector to the parts of its objective, and back."""

import pytest
import torch
from mmengine.model import BaseModel

from slf_mmdet.models.detectors.loss_parts import AllMatched, LossParts, part_name

LOSSES = {
    'loss_rpn_cls': [torch.tensor([1.0, 3.0]), torch.tensor(4.0)],  # 2 + 4
    'loss_rpn_bbox': [torch.tensor(1.0)],
    'loss_cls': torch.tensor([2.0, 4.0]),  # 3
    'acc': torch.tensor(50.0),
    'loss_bbox': torch.tensor(7.0),
}


@pytest.mark.parametrize(
    ('key', 'name'),
    [
        ('loss_cls', 'cls'),
        ('loss_rpn_cls', 'rpn_cls'),
        ('d0.loss_cls', 'd0.cls'),
        ('d0.dn_loss_iou', 'd0.dn_iou'),
        ('cls_loss', 'cls'),
        ('loss', 'total'),
    ],
)
def test_part_names(key, name):
    assert part_name(key) == name


def test_by_key_by_list_and_by_regular_expression():
    parts = LossParts(dict(rpn='loss_rpn_.*', head=['loss_cls', 'loss_bbox']))
    # (2 + 4) + 1, and 3 + 7
    assert {name: float(value) for name, value in parts.collect(LOSSES).items()} == dict(rpn=7.0, head=10.0)


def test_a_list_of_keys_makes_each_a_part():
    assert LossParts(['loss_cls', 'd0.loss_cls']).names == ('cls', 'd0.cls')


def test_reduces_as_mmengine_does():
    parts = LossParts([key for key in LOSSES if 'loss' in key]).collect(LOSSES)
    total, _ = BaseModel.parse_losses(torch.nn.Module(), LOSSES)
    assert float(sum(parts.values())) == float(total)


def test_balanced_losses_take_the_place_of_their_own_and_leave_the_others():
    parts = LossParts(dict(rpn='loss_rpn_.*', box='loss_bbox'))
    balanced = {'loss_rpn': 14.0, 'loss_box': 3.5, 'balance_rpn': 2.0, 'balance_box': 0.5}
    out = parts.replace(LOSSES, balanced)
    assert list(out) == ['loss_rpn', 'loss_cls', 'acc', 'loss_box', 'balance_rpn', 'balance_box']
    assert out['loss_cls'] is LOSSES['loss_cls'] and out['acc'] is LOSSES['acc'] and out['loss_rpn'] == 14.0


def test_a_loss_that_begins_later_is_no_error():
    parts = LossParts(dict(cls='loss_cls', box='loss_(bbox|l1)'))
    parts.collect(LOSSES)
    assert float(parts.collect({**LOSSES, 'loss_l1': torch.tensor(1.0)})['box']) == 8.0


def test_a_loss_that_is_absent_for_a_step_counts_as_zero():
    parts = LossParts(dict(cls='loss_cls', box='loss_bbox'))
    only_box = dict(loss_bbox=LOSSES['loss_bbox'])
    assert float(parts.collect(only_box, complete=False)['cls']) == 0.0
    assert float(parts.collect({**only_box, 'loss_cls': []})['cls']) == 0.0  # a list without a loss
    with pytest.raises(ValueError, match=r"no loss matches \{'cls': \['loss_cls'\]\}"):
        parts.collect(only_box)
    with pytest.raises(ValueError, match="all losses of the parts are empty lists: .'loss_cls'."):
        parts.collect(dict(loss_cls=[]), complete=False)


@pytest.mark.parametrize(
    ('patterns', 'message'),
    [
        (
            dict(cls='loss_cls', iou='loss_iou'),
            r"matches \{'iou': \['loss_iou'\]\}.*'loss_rpn_cls'.*'loss_bbox'",
        ),
        (dict(rpn='loss_rpn_*'), r"no loss matches.*'loss_rpn_\.\*' for all keys that begin"),
        (dict(acc='acc'), 'no loss matches'),
        (dict(a='loss_.*', b='loss_cls'), r"'loss_cls' is matched by the parts \['a', 'b'\]"),
        (dict(cls='loss_rpn_cls'), "'cls' would be logged as loss_cls"),
    ],
)
def test_what_does_not_fit_the_losses(patterns, message):
    with pytest.raises(ValueError, match=message):
        LossParts(patterns).collect(LOSSES)


@pytest.mark.parametrize(
    ('patterns', 'message'),
    [
        ({}, 'parts must say which losses'),
        ('loss_cls', 'parts must say which losses'),
        (dict(cls='loss_(cls'), r"parts\['cls'\]: 'loss_\(cls' is neither"),
        (['loss_cls', 'cls_loss'], 'parts of one name'),
    ],
)
def test_what_is_wrong_in_itself(patterns, message):
    with pytest.raises(ValueError, match=message):
        LossParts(patterns)


def test_a_loss_of_another_kind():
    with pytest.raises(TypeError, match="'loss_cls' must be a tensor or a list of tensors, found float"):
        LossParts(['loss_cls']).collect(dict(loss_cls=1.0))


def test_a_checkpoint_says_whether_each_part_has_matched():
    parts = LossParts(dict(cls='loss_cls', box='loss_bbox'))
    first = AllMatched(parts)
    assert not first.value
    empty = first.state_dict()['patterns'].clone()
    first.note()
    same, other = AllMatched(parts), AllMatched(LossParts(dict(cls='loss_cls', box='loss_box')))
    for one in (same, other):
        one.load_state_dict(first.state_dict())
    assert same.value and not other.value  # a typo in new patterns is still an error of the first step
    same.load_state_dict(dict(patterns=empty))
    assert not same.value
