"""The head of YOLO (Redmon et al., CVPR 2016): one prediction per grid cell, and a balanced four-part loss."""

from typing import List, NamedTuple, Optional, Sequence, Tuple, Union

import torch
from mmcv.cnn import ConvModule
from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
from mmdet.models.utils import filter_scores_and_topk, unpack_gt_instances
from mmdet.registry import MODELS
from mmdet.structures import SampleList
from mmdet.structures.bbox import bbox_xyxy_to_cxcywh, get_box_tensor
from mmdet.utils import ConfigType, InstanceList, OptConfigType, OptInstanceList, OptMultiConfig
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from torch import Tensor, nn

from ...balancers import DetectionQuality, checked_balancer
from ...balancers.step import QualityOf
from ...losses.soft_ap import best_detections, soft_average_precision
from ...losses.yolov1 import (
    BASE_WEIGHTS,
    PARTS,
    split_output,
    squared_class_error,
    to_image_boxes,
    yolov1_parts,
    yolov1_targets,
)
from ...utils.checks import is_count, require
from ...utils.image_id import image_id
from ...utils.numerics import at_least_fp32
from ..layers import LocallyConnected2d

LEAKY_SLOPE = 0.1


@MODELS.register_module()
class YOLOV1Head(BaseDenseHead):
    """Predicts B boxes with confidences and C class scores in each of S x S cells.

    Of several objects in one cell only the first one listed is a target: see
    :class:`~slf_mmdet.datasets.ShuffleInstances`, which darknet's training has, for the pipeline.

    Args:
        num_classes: C.
        in_channels: channels of the backbone's last feature map, which must be S x S after pooling.
        grid_size: S.
        boxes_per_cell: B.
        head_type: ``'fc'`` for fully connected layers, as in the paper; ``'local'`` for a locally connected layer
            before the last fully connected one, as in darknet's yolov1.cfg; ``'conv'`` for convolutions, the lightest.
        hidden_channels: widths of the layers before the output layer. Defaults to ``(4096,)`` for fc, ``(256,)`` for
            local and ``(512,)`` for conv. ``()`` leaves only the output layer.
        pool_size: max-pooling of the feature map before the layers, to fit a backbone of smaller stride (14 x 14 or
            13 x 13 to 7 x 7 with 2); 1 for none.
        dropout: probability of dropout before the output layer (paper: 0.5).
        rescore: confidence target is the IoU of the predicted box; ``False`` for 1.
        loss_cls: ``None`` for the paper's class part, the squared error of linear class scores. Otherwise the config
            of a loss over logits and class indices, :class:`~slf_mmdet.losses.StochasticLoss` for example: its sum over
            an image's cells with an object is the class part, and class scores are the softmax of the logits, or their
            sigmoid with ``use_sigmoid=True``.
        loss_balancer: config of a :class:`~slf_mmdet.balancers.LossBalancer`. The head sets its ``parts``, and
            ``base_weights`` of the parts that the config leaves out: coord 5, cls 1, obj 1, noobj 0.5.
        loss_ap: config of a :class:`~slf_mmdet.losses.SoftAPLoss`, one more part that is not balanced, ``loss_ap``.
        train_cfg: not used; for the interface of mmdet.
        test_cfg: ``score_thr``, ``nms``, ``max_per_img``, and optionally ``nms_pre`` and ``min_bbox_size``.
        init_cfg: see mmengine's ``BaseModule``.

    Raises:
        ValueError: ``head_type`` or the balancer is unknown, ``num_classes`` is not an integer >= 1, or the
            feature map is not S x S.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        grid_size: int = 7,
        boxes_per_cell: int = 2,
        head_type: str = 'fc',
        hidden_channels: Optional[Sequence[int]] = None,
        pool_size: int = 1,
        dropout: float = 0.5,
        rescore: bool = True,
        loss_cls: OptConfigType = None,
        loss_balancer: ConfigType = dict(type='StaticBalancer'),  # noqa: B006
        loss_ap: OptConfigType = None,
        train_cfg: OptConfigType = None,
        test_cfg: OptConfigType = None,
        init_cfg: OptMultiConfig = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        require(is_count(num_classes), 'YOLOV1Head', 'num_classes', 'an integer >= 1', num_classes)
        self.num_classes = num_classes
        self.in_channels = in_channels
        self.grid_size = grid_size
        self.boxes_per_cell = boxes_per_cell
        self.head_type = head_type
        self.rescore = rescore
        self.loss_cls = None if loss_cls is None else MODELS.build(loss_cls)
        self.loss_ap = None if loss_ap is None else MODELS.build(loss_ap)
        self.train_cfg = train_cfg
        self.test_cfg = test_cfg
        self.out_channels = 5 * boxes_per_cell + num_classes

        builders = dict(fc=self._fc_layers, local=self._local_layers, conv=self._conv_layers)
        if head_type not in builders:
            raise ValueError(f'YOLOV1Head: head_type must be one of {sorted(builders)}, found {head_type!r}.')
        defaults = dict(fc=(4096,), local=(256,), conv=(512,))
        hidden = tuple(defaults[head_type] if hidden_channels is None else hidden_channels)
        self.pool = nn.MaxPool2d(pool_size, ceil_mode=True) if pool_size > 1 else nn.Identity()
        self.layers = builders[head_type](hidden, dropout)
        balancer_cfg = checked_balancer(loss_balancer, 'bbox_head.loss_balancer')
        balancer_cfg['base_weights'] = {**BASE_WEIGHTS, **(balancer_cfg.get('base_weights') or {})}
        with torch.random.fork_rng(devices=[]):  # the detector's initial weights do not depend on the balancer
            self.loss_balancer = MODELS.build(
                balancer_cfg, default_args=dict(parts=PARTS, feature_dim=self.out_channels * grid_size**2)
            )

    def _fc_layers(self, hidden: Tuple[int, ...], dropout: float) -> nn.Sequential:
        layers: List[nn.Module] = [nn.Flatten()]
        channels = self.in_channels * self.grid_size**2
        for width in hidden:
            layers += [nn.Linear(channels, width), nn.LeakyReLU(LEAKY_SLOPE)]
            channels = width
        if hidden:
            layers += [nn.Dropout(dropout)]
        return nn.Sequential(*layers, nn.Linear(channels, self.out_channels * self.grid_size**2))

    def _local_layers(self, hidden: Tuple[int, ...], dropout: float) -> nn.Sequential:
        layers: List[nn.Module] = []
        channels, size = self.in_channels, (self.grid_size, self.grid_size)
        for width in hidden:
            layers += [LocallyConnected2d(channels, width, size), nn.LeakyReLU(LEAKY_SLOPE)]
            channels = width
        last = nn.Linear(channels * self.grid_size**2, self.out_channels * self.grid_size**2)
        return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(dropout), last)

    def _conv_layers(self, hidden: Tuple[int, ...], dropout: float) -> nn.Sequential:
        layers: List[nn.Module] = []
        channels = self.in_channels
        for width in hidden:
            act = dict(type='LeakyReLU', negative_slope=LEAKY_SLOPE)
            layers += [ConvModule(channels, width, 3, padding=1, norm_cfg=dict(type='BN'), act_cfg=act)]
            channels = width
        return nn.Sequential(*layers, nn.Dropout(dropout), nn.Conv2d(channels, self.out_channels, 1))

    def forward(self, x: Tuple[Tensor, ...]) -> Tuple[Tensor]:
        """Predicts from the last feature map.

        Args:
            x: feature maps; the last one is ``(N, in_channels, S, S)``.

        Returns:
            One tensor ``(N, 5B + C, S, S)``, channels as in :func:`~slf_mmdet.losses.yolov1.split_output`.
        """
        feature = self.pool(x[-1])
        expected = (self.in_channels, self.grid_size, self.grid_size)
        if tuple(feature.shape[1:]) != expected:
            raise ValueError(
                f'YOLOV1Head: expected a feature map of (channels, height, width) = {expected}, found '
                f'{tuple(feature.shape[1:])}. YOLO takes images of one size (stride of the backbone times pool_size '
                f'times grid_size={self.grid_size}): resize them with keep_ratio=False, and set in_channels to the '
                'number of channels of the backbone.'
            )
        output = self.layers(feature)
        return (output.view(-1, self.out_channels, self.grid_size, self.grid_size),)

    def loss_by_feat(
        self,
        output: Tensor,
        batch_gt_instances: InstanceList,
        batch_img_metas: List[dict],
        batch_gt_instances_ignore: OptInstanceList = None,
        quality_of: Optional[QualityOf] = None,
    ) -> dict:
        """Computes the four parts per image and balances them.

        Args:
            output: ``(N, 5B + C, S, S)`` of :meth:`forward`.
            batch_gt_instances: per image ``bboxes`` (x1, y1, x2, y2) in pixels of the network's input, and ``labels``.
            batch_img_metas: per image its meta information.
            batch_gt_instances_ignore: difficult objects; they are not targets, and their cells count as empty.
            quality_of: function for the detection quality on another batch, which needs the whole detector.

        Returns:
            ``loss_<part>`` and ``balance_<part>``, see :class:`~slf_mmdet.balancers.LossBalancer`, and ``loss_ap``
            where it is set.
        """
        output = at_least_fp32(output)
        objects = _Objects.of(batch_gt_instances, batch_img_metas, output)
        targets = yolov1_targets(
            bbox_xyxy_to_cxcywh(objects.corners), objects.labels, objects.image, len(output), self.grid_size
        )
        class_loss = squared_class_error if self.loss_cls is None else self._class_errors
        quality = DetectionQuality(
            lambda inputs: self._average_precision(inputs[0], objects),
            [output],
            # A sum of squares of the output is 0 after twice the step at which its linearisation is 0
            step_scale=dict(coord=2.0, cls=2.0 if self.loss_cls is None else 1.0, obj=2.0, noobj=2.0),
        )
        losses = self.loss_balancer(
            yolov1_parts(output, targets, self.boxes_per_cell, self.rescore, class_loss),
            features=output.flatten(1),
            shared_parameters=self._shared_parameters,
            output_parameters=lambda: [_differentiated(self.layers[-1])],
            detection_quality=quality,
            quality_of=quality_of,
            image_ids=[name for name in map(image_id, batch_img_metas) if name is not None],
        )
        if self.loss_ap is not None:
            iou_thr = self.loss_ap.iou_thr
            losses['loss_ap'] = self.loss_ap(lambda: self._average_precision(output, objects, iou_thr), output)
        return losses

    def loss(
        self, x: Tuple[Tensor, ...], batch_data_samples: SampleList, quality_of: Optional[QualityOf] = None
    ) -> dict:
        """Predicts from feature maps and computes the loss, see :meth:`loss_by_feat`."""
        objects, ignored, metas = unpack_gt_instances(batch_data_samples)
        return self.loss_by_feat(self(x)[0], objects, metas, ignored, quality_of)

    def quality(self, x: Tuple[Tensor, ...], batch_data_samples: SampleList) -> Tensor:
        """Soft average precision of the detections from feature maps, a scalar with its graph."""
        output = at_least_fp32(self(x)[0])
        objects, _, metas = unpack_gt_instances(batch_data_samples)
        return self._average_precision(output, _Objects.of(objects, metas, output))

    def _average_precision(
        self, output: Tensor, objects: '_Objects', iou_thr: Union[float, Sequence[float]] = 0.5
    ) -> Tensor:
        found = best_detections(*self.decode(output))
        return soft_average_precision(*found, objects.corners, objects.labels, objects.image, iou_thr=iou_thr)

    def _class_errors(self, logits: Tensor, labels: Tensor, kept: Tensor) -> Tensor:
        """``loss_cls`` of the M objects, ``(M,)``."""
        assert self.loss_cls is not None
        errors = self.loss_cls(logits, labels, weight=kept, reduction_override='none')
        return errors.flatten(1).sum(1) if errors.dim() > 1 else errors

    def _shared_parameters(self) -> List[Tensor]:
        """Of the last layer that all parts share; the output layer has rows of its own for each of them."""
        kinds = (nn.Conv2d, nn.Linear, LocallyConnected2d)
        hidden = [layer for layer in self.layers[:-1].modules() if isinstance(layer, kinds)]
        return [_differentiated(hidden[-1] if hidden else self.layers[-1])]

    def _class_scores(self, raw: Tensor) -> Tensor:
        """Class scores in [0, 1], or >= 0 where they are linear, of a cell's raw outputs ``(..., C)``."""
        if self.loss_cls is None:
            return raw.clamp_min(0)
        return raw.sigmoid() if getattr(self.loss_cls, 'use_sigmoid', False) else raw.softmax(-1)

    def decode(self, output: Tensor) -> Tuple[Tensor, Tensor]:
        """Decodes an output to boxes and class scores, without a threshold.

        Args:
            output: ``(N, 5B + C, S, S)`` of :meth:`forward`, at least fp32.

        Returns:
            boxes ``(N, S * S * B, 4)``, x1, y1, x2, y2 as fractions of the network's input, not clipped; scores
            ``(N, S * S * B, C)``, class score times confidence.
        """
        raw_boxes, confidences, classes = split_output(output, self.boxes_per_cell)
        boxes = to_image_boxes(torch.cat([raw_boxes[..., :2], raw_boxes[..., 2:].square()], dim=-1))
        # Linear outputs may be negative; the product of two negative ones must not be a confident detection
        scores = confidences.clamp_min(0).unsqueeze(-1) * self._class_scores(classes).unsqueeze(-2)
        return boxes.flatten(1, 3), scores.flatten(1, 3)

    def predict_by_feat(
        self,
        output: Tensor,
        batch_img_metas: List[dict],
        cfg: Optional[ConfigDict] = None,
        rescale: bool = False,
        with_nms: bool = True,
    ) -> InstanceList:
        """Converts outputs to detections: class score times confidence, then NMS within each class.

        Args:
            output: ``(N, 5B + C, S, S)`` of :meth:`forward`.
            batch_img_metas: per image its meta information.
            cfg: replaces ``test_cfg``.
            rescale: boxes in pixels of the original image instead of the network's input.
            with_nms: ``False`` skips NMS.

        Returns:
            Per image an ``InstanceData`` with ``bboxes`` (M, 4), ``scores`` (M,) and ``labels`` (M,).
        """
        cfg = self.test_cfg if cfg is None else cfg
        boxes, scores = self.decode(output.float())
        detections = []
        for image_boxes, image_scores, meta in zip(boxes, scores, batch_img_metas):
            width, height = _input_size(meta)
            in_pixels = image_boxes * image_boxes.new_tensor([width, height, width, height])
            in_pixels[:, 0::2].clamp_(0, meta['img_shape'][1])
            in_pixels[:, 1::2].clamp_(0, meta['img_shape'][0])
            best, labels, _, filtered = filter_scores_and_topk(
                image_scores, cfg.score_thr, cfg.get('nms_pre', image_scores.numel()), dict(boxes=in_pixels)
            )
            results = InstanceData(bboxes=filtered['boxes'], scores=best, labels=labels)
            detections.append(self._bbox_post_process(results, cfg, rescale, with_nms, meta))
        return detections


def _input_size(meta: dict) -> Tuple[int, int]:
    """Width and height of the network's input, padding included, to which the grid is stretched."""
    height, width = meta.get('batch_input_shape', meta['img_shape'])[:2]
    return width, height


def _differentiated(layer: nn.Module) -> Tensor:
    """The parameter of a layer for gradients of the parts: a bias where the weights may take a gigabyte."""
    parameter = layer.weight if isinstance(layer, nn.Conv2d) else layer.bias
    assert isinstance(parameter, Tensor)
    return parameter


class _Objects(NamedTuple):
    """The M objects of a batch, on the device of the network.

    Attributes:
        corners: ``(M, 4)`` x1, y1, x2, y2 as fractions of the network's input.
        labels: ``(M,)``.
        image: ``(M,)`` index of the object's image.
    """

    corners: Tensor
    labels: Tensor
    image: Tensor

    @classmethod
    def of(cls, batch_gt_instances: InstanceList, batch_img_metas: List[dict], output: Tensor) -> '_Objects':
        # Index and size of each object's image are made on the host and copied without synchronisation
        counts = torch.tensor([len(instances.labels) for instances in batch_gt_instances])
        sizes = torch.tensor([_input_size(meta) * 2 for meta in batch_img_metas], dtype=output.dtype)
        image = torch.arange(len(counts)).repeat_interleave(counts)
        scale = sizes[image].to(output.device, non_blocking=True)
        corners = torch.cat([get_box_tensor(instances.bboxes) for instances in batch_gt_instances]) / scale
        labels = torch.cat([instances.labels for instances in batch_gt_instances])
        return cls(corners, labels, image.to(output.device, non_blocking=True))
