"""What a detector hands over to a balancer in one training step."""

from typing import Any, Callable, List, Mapping, NoReturn, Optional, Sequence, Tuple, TypeVar, Union

from torch import Tensor

from ..utils.distributed import mean_over_processes
from .detection_quality import DetectionQuality

T = TypeVar('T')
Lazy = Union[T, Callable[[], T], None]
Parameters = Union[Tensor, Sequence[Tensor]]
QualityOf = Callable[[Mapping[str, Any]], Tensor]
OFFERED_BY = dict(
    shared_parameters='YOLOV1Head and BalancedDetector offer them',
    output_parameters='YOLOV1Head offers them',
    detection_quality='YOLOV1Head and BalancedDetector offer it',
    quality_of='The detectors YOLOV1 and BalancedDetector offer it',
)


class Step:
    """One training step: the losses, and what else the detector offers, computed when somebody asks for it.

    What is not offered is an error when it is asked for. It names who asked, what is missing, and what to take.

    Args:
        losses: unweighted parts, ``(n,)`` or, per image, ``(N, n)``, with their graph; at least fp32.
        names: of the n parts.
        features: ``(N, D)``, what a decision network sees, at least fp32.
        shared_parameters: parameters that all parts depend on, such as the weight of the last shared layer, or a
            function that returns them.
        output_parameters: parameters of the layer that predicts, or a function that returns them.
        detection_quality: of the detections of the batch, or a function that returns it.
        quality_of: soft average precision, a scalar with its graph, of the detections of another batch of a data set.
        image_ids: paths or ids of the images of the batch.
        training: whether the balancer learns in this step. Only then processes exchange anything.
        parts_at_once: how many parts a signal that compares them should look at in one iteration; ``None`` for all.
        parts: the n parts before they were stacked, scalars or ``(N,)``, each with a graph of its own, for those who
            differentiate them one by one. Defaults to views of ``losses``.
    """

    def __init__(
        self,
        losses: Tensor,
        names: Sequence[str],
        features: Optional[Tensor] = None,
        shared_parameters: Lazy[Parameters] = None,
        output_parameters: Lazy[Parameters] = None,
        detection_quality: Lazy[DetectionQuality] = None,
        quality_of: Optional[QualityOf] = None,
        image_ids: Sequence[str] = (),
        training: bool = True,
        parts_at_once: Optional[int] = None,
        parts: Optional[Sequence[Tensor]] = None,
    ) -> None:
        self.losses = losses
        self.parts: Tuple[Tensor, ...] = tuple(losses.unbind(-1) if parts is None else parts)
        self.names: Tuple[str, ...] = tuple(names)
        self.features = features
        self.image_ids = tuple(image_ids)
        self.training = training
        self.parts_at_once = parts_at_once
        self._shared_parameters = shared_parameters
        self._output_parameters = output_parameters
        self._detection_quality = detection_quality
        self._quality_of = quality_of

    def shared_parameters(self, asked_by: str, instead: str = '') -> List[Tensor]:
        """Parameters that all parts depend on.

        Args:
            asked_by: who needs them, for the text of an error.
            instead: what to take where there are none, a sentence for the text of an error.

        Raises:
            ValueError: they are not offered, or none of them is trained.
        """
        return self._parameters('shared_parameters', self._shared_parameters, asked_by, instead)

    def output_parameters(self, asked_by: str, instead: str = '') -> List[Tensor]:
        """Parameters of the layer that predicts, of which each part may have rows of its own; as above."""
        return self._parameters('output_parameters', self._output_parameters, asked_by, instead)

    def detection_quality(self, asked_by: str, instead: str = '') -> DetectionQuality:
        """How good the detections of the batch are, and what a part of the loss costs; as above."""
        if self._detection_quality is None:
            self._missing('detection_quality', asked_by, instead)
        return _computed(self._detection_quality)

    def quality_of(self, data: Mapping[str, Any], asked_by: str, instead: str = '') -> Tensor:
        """Soft average precision of the detections of another batch, a scalar with its graph; as above.

        Args:
            data: a batch as a data loader of mmdet gives it.
            asked_by: see :meth:`shared_parameters`.
            instead: see there.
        """
        if self._quality_of is None:
            self._missing('quality_of', asked_by, instead)
        return self._quality_of(data)

    def average(self, values: Tensor) -> Tensor:
        """The mean over the processes in training, all of which must call this, else the tensor itself."""
        return mean_over_processes(values) if self.training else values

    def _parameters(self, key: str, offered: Lazy[Parameters], asked_by: str, instead: str) -> List[Tensor]:
        if offered is None:
            self._missing(key, asked_by, instead)
        found = _computed(offered)
        parameters = [one for one in ([found] if isinstance(found, Tensor) else found) if one.requires_grad]
        if not parameters or not self.losses.requires_grad:
            raise ValueError(
                f'{asked_by} differentiates the parts with respect to `{key}`, but '
                f'{"none of them requires a gradient" if not parameters else "the parts carry no graph"}. '
                f'Train at least one of them, and do not detach the parts. {instead}'.rstrip()
            )
        return parameters

    def _missing(self, key: str, asked_by: str, instead: str) -> NoReturn:
        raise ValueError(
            f'{asked_by} needs `{key}`, which is not offered in this step. {OFFERED_BY[key]}; in a training loop of '
            f'your own, call the balancer with {key}=... {instead}'.rstrip()
        )


def _computed(offered: Any) -> Any:
    return offered() if callable(offered) and not isinstance(offered, DetectionQuality) else offered
