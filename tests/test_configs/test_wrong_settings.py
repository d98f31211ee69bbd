"""A table of wrong settings: each raises one paragraph with its key, its value and the choices."""

from types import SimpleNamespace

import pytest
import torch
from mmdet.registry import DATASETS, HOOKS, MODELS
from mmengine.config import Config

import slf_mmdet
from slf_mmdet.models.detectors.loss_parts import LossParts

from ..helpers import DIGITS_SLF
from ..test_models.test_detectors.tiny_detectors import tiny_model

NAN = float('nan')


def balancer(**settings):
    """In the head of YOLO, the parts of which are coord, cls, obj and noobj."""
    head(loss_balancer=settings)


def head(**settings):
    cfg = Config.fromfile(DIGITS_SLF).model.bbox_head
    cfg.pop('loss_balancer', None)
    MODELS.build({**cfg, **settings})


def slf(**settings):
    balancer(type='SLFBalancer', **settings)


def sampler(**settings):
    """Of SLF's balancer, the paper's K samples."""
    slf(sampler=dict(type='MultipleGumbelSoftmax', **settings))


def signal(kind, **settings):
    slf(signal=dict(type=kind, **settings))


def paper(**settings):
    balancer(type='PaperSLFBalancer', **settings)


def detector(**settings):
    """RetinaNet, the losses of which are loss_cls and loss_bbox."""
    cfg = tiny_model('retinanet')
    MODELS.build({**cfg, **settings})


def parts(**patterns):
    """Patterns of parts at the first step of a detector that has loss_cls and loss_bbox."""
    LossParts(patterns).collect(dict(loss_cls=torch.ones(()), loss_bbox=torch.ones(())))


MSE, CE = dict(type='ClassMSELoss'), dict(type='CrossEntropyLoss')


def candidates(*losses, **settings):
    loss = MODELS.build({'type': 'StochasticLoss', 'candidates': losses, 'feature_dim': 4, **settings})
    loss(torch.zeros(3, 4), torch.zeros(3, dtype=torch.long))


def loss(**settings):
    MODELS.build(settings)


def backbone(**settings):
    MODELS.build(dict(type='YOLOV1Darknet', **settings))


def pretrained(**settings):
    MODELS.build({'type': 'TorchVisionBackbone', 'model': 'squeezenet1_1', 'weights': None, **settings})


def data(**settings):
    DATASETS.build(dict(type='CheckedVOCDataset', **settings))


def guard(**settings):
    HOOKS.build(dict(type='NonFiniteGuardHook', **settings))


def classes_of_the_data(num_classes):
    """Mmdet's hook, which our runtime has, with a data set of ten classes."""
    model = torch.nn.Module()
    model.bbox_head = MODELS.build(dict(Config.fromfile(DIGITS_SLF).model.bbox_head, num_classes=num_classes))
    dataset = SimpleNamespace(metainfo=dict(classes=tuple('abcdefghij')))
    runner = SimpleNamespace(model=model, train_dataloader=SimpleNamespace(dataset=dataset), logger=None)
    HOOKS.build(dict(type='NumClassCheckHook')).before_train_epoch(runner)


def config_path(name):
    slf_mmdet.get_config_path(name)


def image_of_another_size(**settings):
    cfg = Config.fromfile(DIGITS_SLF).model
    MODELS.build(cfg)(torch.zeros(1, 3, 128, 128))


# What is set; the words that the message must have
TABLE = [
    # Which balancer, and which settings it has
    (balancer, dict(type='SLFBalancr'), "loss_balancer.type 'SLFBalancr' SLFBalancer StaticBalancer Did you mean"),
    (balancer, dict(type='FocalLoss'), "loss_balancer.type 'FocalLoss' SLFBalancer"),
    (balancer, dict(type=None), "bbox_head.loss_balancer {'type': None} SLFBalancer dict(type="),
    (balancer, dict(num_samples=3), 'bbox_head.loss_balancer num_samples SLFBalancer dict(type='),
    (head, dict(loss_balancer='SLFBalancer'), "bbox_head.loss_balancer 'SLFBalancer' dict(type="),
    (slf, dict(kl_wieght=3), "loss_balancer SLFBalancer 'kl_wieght' kl_weight prior Did you mean 'kl_weight'"),
    (slf, dict(base_weights=[5, 1, 1, 0.5]), 'loss_balancer.base_weights [5, 1, 1, 0.5] dict part'),
    # Parts and base weights
    (slf, dict(base_weights=dict(box=5.0)), "base_weights 'box' coord cls obj noobj"),
    (slf, dict(base_weights=dict(coord=-5.0)), "base_weights['coord'] -5.0 >= 0"),
    (slf, dict(base_weights=dict(coord=0)), "base_weights['coord'] 0 > 0"),
    (slf, dict(base_weights=dict(coord=NAN)), "base_weights['coord'] nan finite"),
    (slf, dict(base_weights=dict(coord='5')), "base_weights['coord'] '5' number"),
    (balancer, dict(type='StaticBalancer', parts=['loss_cls']), "'loss_cls' Use 'cls'"),
    (balancer, dict(type='StaticBalancer', parts=['cls', 'cls']), "parts more than once 'cls'"),
    (balancer, dict(type='StaticBalancer', base_weights=dict.fromkeys(['coord', 'cls', 'obj', 'noobj'], 0)), 'all 0'),
    # Sampling
    (sampler, dict(num_samples=0), 'num_samples 0 integer >= 1 K=1'),
    (sampler, dict(num_samples=2.5), 'num_samples 2.5 integer >= 1'),
    (sampler, dict(num_samples='3'), "num_samples '3' integer >= 1"),
    (sampler, dict(num_sample=3), "SLFBalancer.sampler 'num_sample' num_samples tau Did you mean 'num_samples'"),
    (sampler, dict(tau=0.0), 'tau 0.0 > 0'),
    (sampler, dict(tau=-1), 'tau -1 > 0'),
    (sampler, dict(tau='cold'), "'cold' number dict(value="),
    (sampler, dict(tau=dict(start=1.0)), "{'start': 1.0} number dict(value="),
    (sampler, dict(noise='loud'), "noise 'loud' None independent shared"),
    (sampler, dict(seed='tomorrow'), "seed 'tomorrow' integer"),
    (slf, dict(sampler=dict(type='Gumble')), "sampler.type 'Gumble' MultipleGumbelSoftmax Softmax Stratified"),
    (slf, dict(sampler='softmax'), "sampler 'softmax' dict(type= MultipleGumbelSoftmax Softmax"),
    (slf, dict(sampler=dict(num_samples=3)), "sampler {'num_samples': 3} dict(type="),
    (slf, dict(sampler=dict(type='DeltaAP')), "sampler.type 'DeltaAP' MultipleGumbelSoftmax Softmax"),
    (slf, dict(sampler=dict(type='Softmax', num_samples=3)), "sampler Softmax 'num_samples'"),
    # Signals
    (slf, dict(signal='DeltaAP'), "signal 'DeltaAP' dict(type="),
    (slf, dict(signal=dict(type='DeltaAp')), "signal.type 'DeltaAp' LossRate TrainingLoss Did you mean 'DeltaAP'"),
    (slf, dict(signal=dict(type='Softmax')), "signal.type 'Softmax' DeltaAP GradientAlignment ValidationSignal"),
    (signal, ('DeltaAP', dict(momentum=1.0)), 'DeltaAP momentum 1.0 [0, 1)'),
    (signal, ('DeltaAP', dict(horizon=10)), "DeltaAP 'horizon' momentum interval"),
    (signal, ('DeltaAP', dict(interval=0)), 'DeltaAP interval 0 integer >= 1 None'),
    (signal, ('GradientAlignment', dict(target='mAP')), "target 'mAP' detection_quality training_loss"),
    (signal, ('RelativeLoss', dict(momentum='0.9')), "momentum '0.9' [0, 1)"),
    (signal, ('TrainingLoss', dict(momentum=0.9)), "TrainingLoss 'momentum'"),
    (signal, ('ValidationSignal', dict(dataset=dict(type='VOCDataset'), batch_size=0)), 'batch_size 0 integer >= 1'),
    (signal, ('ValidationSignal', dict(dataset=dict(type='VOCDataset'), seed=-1)), 'seed -1 integer >= 0'),
    # Priors
    (slf, dict(prior='gradients'), "prior 'gradients' dict(type= BaseWeights EqualGradientNorms"),
    (slf, dict(prior=dict(type='EqualGradients')), "prior.type 'EqualGradients' EqualGradientNorms EqualWeights"),
    (slf, dict(prior=dict(type='EqualGradientNorms', at='head')), "at 'head' output shared"),
    (slf, dict(kl_weight=-1.0), 'kl_weight -1.0 >= 0'),
    (slf, dict(kl_weight='20'), "kl_weight '20' number >= 0"),
    (slf, dict(prior_share=1.5), 'prior_share 1.5 [0, 1]'),
    # The decision network
    (slf, dict(granularity='pixel'), "granularity 'pixel' image batch"),
    (slf, dict(warmup=0.1), 'warmup 0.1 integer >= 0 iterations'),
    (slf, dict(hidden_dim=0), 'hidden_dim 0 integer >= 1'),
    (paper, dict(start='base'), "start 'base' random uniform"),
    (paper, dict(signal=dict(type='DeltaAP')), "PaperSLFBalancer 'signal' granularity sampler start"),
    (balancer, dict(type='LDCMTLBalancer', discrepancy_weight=-1), 'discrepancy_weight -1 >= 0'),
    # Settings that were renamed before the first release
    (slf, dict(num_samples=3), "'num_samples' sampler=dict(type='MultipleGumbelSoftmax', num_samples=...)"),
    (slf, dict(tau=0.5), "'tau' sampler=dict(type='MultipleGumbelSoftmax', tau=...)"),
    (slf, dict(objective='heldout'), "'objective' signal dict(type='GradientAlignment') dict(type='DeltaAP')"),
    (slf, dict(anchor='gradients'), "'anchor' prior=dict(type='BaseWeights') dict(type='EqualGradientNorms')"),
    (slf, dict(initial='uniform'), "'initial' prior=dict(type='EqualWeights')"),
    (slf, dict(base_share=0.1), "'base_share' prior_share"),
    (slf, dict(context_dim=3), "'context_dim' feature_dim"),
    (slf, dict(detach_context=False), "'detach_context' PaperSLFBalancer"),
    (signal, ('GradientAlignment', dict(reference='criterion')), "'reference' target 'detection_quality'"),
    (detector, dict(context='backbone'), "'context' features='parts'"),
    # Other balancers
    (balancer, dict(type='DWABalancer', temperature=0), 'temperature 0 > 0'),
    (balancer, dict(type='DWABalancer', interval='epoch'), "interval 'epoch' integer >= 1 iterations"),
    (balancer, dict(type='UncertaintyBalancer', bound=None), 'bound None > 0'),
    (balancer, dict(type='SoftAdaptBalancer', rate='log'), "rate 'log' ratio difference normalized"),
    (balancer, dict(type='ReLoBRaLoBalancer', alpha=2), 'alpha 2 [0, 1]'),
    (balancer, dict(type='GradNormBalancer', alpha='1.5'), "alpha '1.5' >= 0"),
    (balancer, dict(type='STCHBalancer', mu=-1), 'mu -1 > 0'),
    (balancer, dict(type='FAMOBalancer', lr=NAN), 'lr nan >= 0'),
    (balancer, dict(type='ScheduledBalancer', schedules=dict(box=2.0)), "schedules 'box' coord cls obj noobj"),
    # Any detector: its parts, its features, its shared layer
    (parts, dict(cls='loss_cls', mask='loss_mask'), "'mask' loss_mask loss_cls loss_bbox"),
    (parts, dict(cls='loss_cls', all='loss_.*'), "'loss_cls' cls all one part"),
    (parts, dict(cls='loss_(cls'), "parts['cls'] 'loss_(cls' regular expression loss_rpn_.*"),
    (parts, dict(), 'parts {} dict(cls='),
    (detector, dict(loss_balancer=dict(type='SLFBalancer', parts='loss_cls')), "parts 'loss_cls' dict(cls="),
    (detector, dict(loss_balancer=dict(type='StaticBalancr')), "loss_balancer.type 'StaticBalancr' StaticBalancer"),
    (detector, dict(features='nek'), "'nek' backbone neck bbox_head"),
    (
        detector,
        dict(loss_balancer=dict(type='GradNormBalancer', parts=['loss_cls', 'loss_bbox']), shared_layer='nek'),
        "shared_layer 'nek' backbone neck bbox_head",
    ),
    # Candidate losses
    (candidates, ([], {}), 'candidates at least one'),
    (candidates, ([dict(type='MSE')], {}), "candidates[0].type 'MSE' ClassMSELoss"),
    (candidates, ([dict(type='ClassMSELoss', sigmoid=True)], {}), "candidates[0] 'sigmoid' use_sigmoid"),
    (candidates, (['ClassMSELoss'], {}), "candidates[0] 'ClassMSELoss' dict(type="),
    (candidates, ([MSE, MSE], {}), "names 'ClassMSELoss' name="),
    (candidates, ([MSE, dict(CE, use_sigmoid=True)], {}), "use_sigmoid 'CrossEntropyLoss' False"),
    (candidates, ([MSE, CE], dict(feature_dim=5)), 'feature_dim 5 4 numbers'),
    (candidates, ([MSE, CE], dict(feature_dim=0)), 'feature_dim 0 integer >= 1'),
    (candidates, ([MSE, CE], dict(base_weights=[1.0])), 'base_weights [1.0] None 2 numbers > 0'),
    (candidates, ([MSE, CE], dict(over_elements='max')), "over_elements 'max' sum mean"),
    (candidates, ([MSE, CE], dict(initial=[1.0, 2.0])), "'initial' base_weights"),
    (candidates, ([MSE, CE], dict(signal=dict(type='DeltaAP'))), 'DeltaAP detection_quality LossRate'),
    (candidates, ([MSE, CE], dict(type='PaperStochasticLoss', start='base')), "start 'base' random uniform"),
    (candidates, ([MSE, CE], dict(reduction='avg')), "reduction 'avg' mean sum none"),
    (candidates, ([MSE, dict(type='SmoothL1Loss')], {}), "'SmoothL1Loss' (3, 4) (3,) same input"),
    (loss, dict(type='BiTemperedLoss', t1=2.0), 't1 2.0 [0, 1]'),
    (loss, dict(type='SmoothZeroOneLoss', precision=0), 'precision 0 > 0'),
    # The network
    (head, dict(head_type='dense'), "head_type 'dense' conv fc local"),
    (head, dict(num_classes=0), 'num_classes 0 integer >= 1'),
    (head, dict(num_classes='20'), "num_classes '20' integer >= 1"),
    (image_of_another_size, {}, '(128, 7, 7) (128, 8, 8) resize keep_ratio=False'),
    (backbone, dict(arch='yolo9000'), "arch 'yolo9000' nano yolo"),
    (backbone, dict(frozen_stages=99), 'frozen_stages 99 -1'),
    (pretrained, dict(model='squeezenet'), "'squeezenet' squeezenet1_1"),
    (pretrained, dict(weights='COCO'), "weights 'COCO' IMAGENET1K_V1 path"),
    # Data, hooks, files
    (data, dict(unknown_class='skip'), "unknown_class 'skip' raise ignore"),
    (data, dict(bad_box='keep'), "bad_box 'keep' drop raise"),
    (data, dict(ann_file='a.txt', metainfo=dict(classes='dog')), "metainfo['classes'] 'dog' ('dog',)"),
    (data, dict(data_root='nowhere', ann_file='a.txt'), "'nowhere' data_root <id>.xml"),
    (guard, dict(policy='ignore'), "policy 'ignore' raise skip"),
    (guard, dict(max_in_a_row=0), 'max_in_a_row 0 integer >= 1'),
    (classes_of_the_data, dict(num_classes=20), 'num_classes (20) YOLOV1Head 10'),
    (config_path, ('slf/yolo.py',), "'slf/yolo.py' slf_yolov1_nano"),
]


def call(build, settings):
    if isinstance(settings, dict):
        return build(**settings)
    if build is candidates:
        return build(*settings[0], **settings[1])
    if build is signal:
        return build(settings[0], **settings[1])
    return build(*settings)


def names(row):
    build, settings, _ = row
    return f'{build.__name__}-{settings}'


@pytest.mark.parametrize(('build', 'settings', 'words'), TABLE, ids=map(names, TABLE))
def test_the_message_names_key_value_and_choices(build, settings, words):
    with pytest.raises((ValueError, TypeError, OSError, AttributeError, AssertionError)) as error:
        call(build, settings)
    text = str(error.value)
    missing = [word for word in words.split() if word not in text]
    assert not missing, text
    assert '\n\n' not in text and len(text) < 3000, text


def test_the_table_is_long_enough():
    assert len(TABLE) >= 83
