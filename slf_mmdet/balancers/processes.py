"""Means over the processes of a distributed training, so that they decide as one process with all images would."""

import torch
from mmengine import dist
from torch import Tensor


def mean_over_processes(values: Tensor) -> Tensor:
    """The mean of a tensor of one shape in all processes, each of which must call this; in one process the tensor.

    A gradient of ``values`` is kept, as ``DistributedDataParallel`` wants it, which takes the mean of those of the
    processes.
    """
    count = dist.get_world_size()
    if count == 1:
        return values
    if values.requires_grad and torch.is_grad_enabled():
        from torch.distributed.nn.functional import all_reduce  # some builds of torch have no distributed package

        return all_reduce(values) / count
    values = values.clone()
    dist.all_reduce(values, op='mean')
    return values
