"""Losses: pure functions of tensors, and registered modules that call them."""

from .adaptive_robust import AdaptiveRobustLoss, general_robust, robust_nll
from .bi_tempered import BiTemperedLoss, bi_tempered, binary_bi_tempered
from .boundary import BoundaryLoss, boundary, signed_distance
from .candidate_mixture import CandidateMixture
from .candidates import (
    CategoricalHingeLoss,
    ClassMAELoss,
    ClassMSELoss,
    CosineProximityLoss,
    ProbabilityCrossEntropyLoss,
    categorical_hinge,
    cosine_proximity,
    mean_absolute_error,
    mean_squared_error,
    probability_cross_entropy,
)
from .gan import (
    AdversarialLoss,
    LeastSquaresGANLoss,
    MinimaxGANLoss,
    NonSaturatingGANLoss,
    WGANGPLoss,
    WGANLoss,
    gradient_penalty,
)
from .generalized_dice import GeneralizedDiceLoss, generalized_dice
from .iou_balanced import IoUBalancedClsLoss, IoUBalancedSmoothL1Loss, iou_balanced_cls, iou_balanced_smooth_l1
from .large_margin_softmax import LargeMarginLinear, large_margin_logits
from .paper_stochastic import PaperStochasticLoss
from .perceptual import (
    FeatureLoss,
    PerceptualLoss,
    StyleLoss,
    TotalVariationLoss,
    feature_distance,
    gram_matrix,
    style_distance,
    total_variation,
)
from .policy_gradient import critic_loss, critic_targets, expected_value, reinforce
from .smooth_zero_one import SmoothZeroOneLoss, smooth_zero_one
from .smoothed_cross_entropy import SmoothedCrossEntropyLoss
from .soft_ap import SoftAPLoss, soft_average_precision
from .softmax_margin import SoftmaxMarginLoss, softmax_margin
from .stochastic import StochasticLoss
from .yolov1 import YOLOV1Targets, yolov1_parts, yolov1_targets

__all__ = [
    'AdaptiveRobustLoss',
    'AdversarialLoss',
    'BiTemperedLoss',
    'BoundaryLoss',
    'CandidateMixture',
    'CategoricalHingeLoss',
    'ClassMAELoss',
    'ClassMSELoss',
    'CosineProximityLoss',
    'FeatureLoss',
    'GeneralizedDiceLoss',
    'IoUBalancedClsLoss',
    'IoUBalancedSmoothL1Loss',
    'LargeMarginLinear',
    'LeastSquaresGANLoss',
    'MinimaxGANLoss',
    'NonSaturatingGANLoss',
    'PaperStochasticLoss',
    'PerceptualLoss',
    'ProbabilityCrossEntropyLoss',
    'SmoothZeroOneLoss',
    'SmoothedCrossEntropyLoss',
    'SoftAPLoss',
    'SoftmaxMarginLoss',
    'StochasticLoss',
    'StyleLoss',
    'TotalVariationLoss',
    'WGANGPLoss',
    'WGANLoss',
    'YOLOV1Targets',
    'bi_tempered',
    'binary_bi_tempered',
    'boundary',
    'categorical_hinge',
    'cosine_proximity',
    'critic_loss',
    'critic_targets',
    'expected_value',
    'feature_distance',
    'general_robust',
    'generalized_dice',
    'gradient_penalty',
    'gram_matrix',
    'iou_balanced_cls',
    'iou_balanced_smooth_l1',
    'large_margin_logits',
    'mean_absolute_error',
    'mean_squared_error',
    'probability_cross_entropy',
    'reinforce',
    'robust_nll',
    'signed_distance',
    'smooth_zero_one',
    'soft_average_precision',
    'softmax_margin',
    'style_distance',
    'total_variation',
    'yolov1_parts',
    'yolov1_targets',
]
