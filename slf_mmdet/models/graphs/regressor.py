"""A network that predicts a number from features that are the nodes of a graph."""

from typing import Any, Dict, List, Optional, Sequence, Union

import numpy as np
import torch
from mmdet.registry import DATASETS, MODELS
from mmdet.utils import ConfigType, OptMultiConfig
from mmengine.model import BaseModel
from mmengine.structures import BaseDataElement
from torch import Tensor, nn

from ...utils.config import with_sizes
from .feature_graph import FeatureGraph


@MODELS.register_module()
class GraphRegressor(BaseModel):
    """Graph layers over the features, fully connected layers over all nodes, one number.

    The samples share one graph (Hechtlinger et al., 2017): its nodes are the features, joined by their correlation in
    the training data, see :class:`~slf_mmdet.models.graphs.FeatureGraph`. The network predicts the target divided by
    its standard deviation after subtraction of its mean, both of the training data, so that the same losses suit any
    unit; predictions are in the unit of the target.

    Args:
        training_set: config of the training data, a :class:`~slf_mmdet.datasets.MoleculeDataset` or another data set
            with a method ``matrix()``: features (N, n) and targets (N,).
        layer: config of the graph layers, without its channels and graph; ``None`` for a fully connected network.
        channels: output channels of each graph layer.
        hidden_channels: widths of the fully connected layers before the output.
        dropout: probability, after each of these.
        num_neighbors: k of the graph.
        loss: of mmdet or ours, called with predictions and targets (N, 1). Settings that equal 1 are filled in if they
            are not given: ``feature_dim`` of ``StochasticLoss``, ``num_channels`` of ``AdaptiveRobustLoss``.
        data_preprocessor: see mmengine's ``BaseModel``.
        init_cfg: likewise.

    Raises:
        ValueError: all targets of the training data are equal, or a feature is constant; or a checkpoint is of another
            graph.
    """

    neighbors: Tensor
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        training_set: ConfigType,
        layer: Optional[ConfigType] = None,
        channels: Sequence[int] = (10, 20),
        hidden_channels: Sequence[int] = (300,),
        dropout: float = 0.25,
        num_neighbors: int = 5,
        loss: ConfigType = dict(type='MSELoss'),  # noqa: B006
        data_preprocessor: Optional[Union[dict, nn.Module]] = None,
        init_cfg: OptMultiConfig = None,
    ) -> None:
        super().__init__(data_preprocessor, init_cfg)
        features, targets = DATASETS.build(training_set).matrix()
        if np.ptp(targets) == 0:
            raise ValueError(
                f'GraphRegressor: all {len(targets)} targets of training_set are {targets[0]}: there is nothing to '
                'predict. Name another column as its target.'
            )
        graph = FeatureGraph(features, num_neighbors)
        self.register_buffer('neighbors', graph.neighbors)
        self.register_buffer('mean', torch.tensor(targets.mean(), dtype=torch.float32))
        self.register_buffer('std', torch.tensor(targets.std(), dtype=torch.float32))
        widths = [1] if layer is None else [1, *channels]
        self.graph_layers = nn.ModuleList(
            MODELS.build(dict(layer or {}, in_channels=inside, out_channels=outside, graph=graph))
            for inside, outside in zip(widths, widths[1:])
        )
        sizes = [graph.num_nodes * widths[-1], *hidden_channels]
        hidden: List[nn.Module] = []
        for inside, outside in zip(sizes, sizes[1:]):
            hidden += [nn.Linear(inside, outside), nn.ReLU(), nn.Dropout(dropout)]
        self.hidden = nn.Sequential(*hidden)
        self.output = nn.Linear(sizes[-1], 1)
        self.loss_module = MODELS.build(with_sizes(loss, 1))

    def forward(
        self,
        inputs: Union[Tensor, Sequence[Tensor]],
        data_samples: Optional[Sequence[BaseDataElement]] = None,
        mode: str = 'tensor',
    ) -> Any:
        """Predicts, or computes the loss.

        Args:
            inputs: features, ``(N, n)``.
            data_samples: N, with ``gt_value`` for the mode ``'loss'``.
            mode: ``'tensor'``, ``'predict'`` or ``'loss'``.

        Returns:
            ``'tensor'``: predictions (N, 1), standardised as the targets are. ``'predict'``: the samples, with
            ``pred_value``, a scalar in the unit of the target. ``'loss'``: the losses.

        Raises:
            ValueError: the inputs do not have the features of the graph, or ``mode`` is unknown.
        """
        pred = self._network(inputs if isinstance(inputs, Tensor) else torch.stack(list(inputs)))
        if mode == 'tensor':
            return pred
        samples = [BaseDataElement() for _ in pred] if data_samples is None else data_samples
        if mode == 'predict':
            for sample, value in zip(samples, self.mean + self.std * pred.squeeze(1)):
                sample.set_data(dict(pred_value=value))
            return samples
        if mode != 'loss':
            raise ValueError(f"GraphRegressor: mode must be 'tensor', 'predict' or 'loss', found {mode!r}.")
        target = torch.stack([sample.gt_value for sample in samples]).unsqueeze(1)
        return dict(loss=self.loss_module(pred, (target - self.mean) / self.std))

    def _network(self, x: Tensor) -> Tensor:
        if x.shape[1:] != self.neighbors.shape[:1]:
            raise ValueError(
                f'GraphRegressor: inputs of shape {tuple(x.shape)} do not fit the graph of {len(self.neighbors)} '
                'features of training_set. Take the same ann_file, radius and min_molecules for all data sets.'
            )
        # Nodes first: what all samples share, the graph, is then one matrix, multiplied from the left
        nodes = x.T.unsqueeze(-1)
        for layer in self.graph_layers:
            nodes = layer(nodes).relu()
        return self.output(self.hidden(nodes.transpose(0, 1).flatten(1)))

    def _load_from_state_dict(self, state_dict: Dict[str, Any], prefix: str, *args: Any, **kwargs: Any) -> None:
        """The graph is made of the training data: a checkpoint of other data would not fit, even where shapes do."""
        found = state_dict.get(f'{prefix}neighbors')
        if found is not None and not torch.equal(found.cpu(), self.neighbors.cpu()):
            raise ValueError(
                'GraphRegressor: the graph of the checkpoint is not that of training_set. Use the training data, '
                'num_neighbors and versions of the packages that the checkpoint was made with.'
            )
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
