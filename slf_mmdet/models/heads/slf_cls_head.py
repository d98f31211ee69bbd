"""A head for image classification whose loss may be any of mmdet's or ours, learnt mixtures and margins included."""

from typing import Any, List, Optional, Sequence, Tuple, Union

import torch
from mmcv.cnn import build_activation_layer
from mmdet.models.losses import accuracy
from mmdet.registry import MODELS
from mmdet.utils import ConfigType, OptMultiConfig
from mmengine.model import BaseModule
from torch import Tensor, nn

from ...losses import LargeMarginLinear
from ...utils.config import build_class_loss


@MODELS.register_module()
class SLFClsHead(BaseModule):
    """Averages the last feature map over its positions and classifies it.

    It has the interface that mmpretrain's ``ImageClassifier`` expects of a head. Give its config the key
    ``_scope_='mmdet'`` there, so that its loss is looked up in mmdet's registry. Backbones may be of either library.

    Args:
        num_classes: C.
        in_channels: channels of the last feature map, or size of the feature vector.
        hidden_channels: widths of fully connected layers before the output layer.
        act_cfg: activation after each hidden layer.
        classifier: the output layer, ``Linear`` or :class:`~slf_mmdet.losses.LargeMarginLinear`, whose margin is on the
            most probable class where targets are probabilities; its sizes are filled in.
        loss: called with logits (N, C) and class indices (N,), or (N, C) class probabilities from batch augmentation.
            Settings that equal C are filled in if they are not given: ``feature_dim`` of ``StochasticLoss``,
            ``num_channels`` of ``AdaptiveRobustLoss``.
        init_cfg: see mmengine's ``BaseModule``.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        hidden_channels: Sequence[int] = (),
        act_cfg: ConfigType = dict(type='ReLU'),  # noqa: B006
        classifier: ConfigType = dict(type='Linear'),  # noqa: B006
        loss: ConfigType = dict(type='CrossEntropyLoss'),  # noqa: B006
        init_cfg: OptMultiConfig = None,
    ) -> None:
        super().__init__(init_cfg)
        self.num_classes = num_classes
        self.in_channels = in_channels
        layers: List[nn.Module] = []
        for width in hidden_channels:
            layers += [nn.Linear(in_channels, width), build_activation_layer(act_cfg)]
            in_channels = width
        self.hidden = nn.Sequential(*layers)
        self.classifier = MODELS.build(
            dict(classifier), default_args=dict(in_features=in_channels, out_features=num_classes)
        )
        self.loss_module = build_class_loss(loss, num_classes)

    def forward(self, feats: Union[Tensor, Tuple[Tensor, ...]]) -> Tensor:
        """Logits ``(N, C)`` without a margin; ``feats`` as in :meth:`loss`."""
        return self.classifier(self._vector(feats))

    def loss(self, feats: Union[Tensor, Tuple[Tensor, ...]], data_samples: Sequence[Any], **kwargs: Any) -> dict:
        """Computes the loss and, for the log, the accuracy in percent.

        Args:
            feats: feature maps, of which the last counts: ``(N, in_channels, H, W)`` or ``(N, in_channels)``.
            data_samples: N of mmpretrain's, with ``gt_label`` (1,) or ``gt_score`` (C,).
            kwargs: passed to the loss.
        """
        vector = self._vector(feats)
        soft = 'gt_score' in data_samples[0]
        target = torch.stack([sample.gt_score for sample in data_samples]) if soft else _labels(data_samples)
        labels = target.argmax(1) if soft else target
        if isinstance(self.classifier, LargeMarginLinear):
            logits = self.classifier(vector, labels)
        else:
            logits = self.classifier(vector)
        loss = self.loss_module(logits, target, avg_factor=len(logits), **kwargs)
        return dict(loss=loss, accuracy=accuracy(logits.detach(), labels))

    def predict(
        self, feats: Union[Tensor, Tuple[Tensor, ...]], data_samples: Optional[Sequence[Any]] = None
    ) -> Sequence[Any]:
        """Puts ``pred_score`` (C,) and ``pred_label`` (1,) into each sample; ``feats`` as in :meth:`loss`."""
        logits = self(feats)
        sigmoid = getattr(self.loss_module, 'use_sigmoid', False)
        scores = logits.sigmoid() if sigmoid else logits.softmax(1)
        if data_samples is None:
            from mmpretrain.structures import DataSample

            data_samples = [DataSample() for _ in scores]
        for sample, score, label in zip(data_samples, scores, scores.argmax(1, keepdim=True)):
            sample.set_pred_score(score).set_pred_label(label)
        return data_samples

    def _vector(self, feats: Union[Tensor, Tuple[Tensor, ...]]) -> Tensor:
        last = feats if isinstance(feats, Tensor) else feats[-1]
        vector = last.flatten(2).mean(2) if last.dim() > 2 else last
        if vector.shape[1] != self.in_channels:
            raise ValueError(
                f'SLFClsHead: the backbone outputs {vector.shape[1]} channels, but in_channels is '
                f'{self.in_channels}. Set in_channels={vector.shape[1]}.'
            )
        return self.hidden(vector)


def _labels(data_samples: Sequence[Any]) -> Tensor:
    return torch.cat([sample.gt_label for sample in data_samples])
