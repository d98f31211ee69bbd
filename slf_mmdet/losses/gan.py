r"""Losses of generative adversarial networks: what a discriminator D and a generator G minimise, each its own.

D gives an image x a score :math:`D(x)`, the logit of its being real; :math:`\sigma` is the logistic function. The real
images are x, the generated ones :math:`\tilde x = G(z)` of noise z. Lucic et al. (NeurIPS 2018, Table 1) list all of
these losses in one notation.
"""

from abc import ABCMeta, abstractmethod
from typing import Callable, Optional

import torch
import torch.nn.functional as F
from mmdet.registry import MODELS
from torch import Tensor, nn

from ..utils.checks import is_number, require


class AdversarialLoss(nn.Module, metaclass=ABCMeta):
    """The losses of both networks. All scores are ``(N,)``, N >= 1, and all losses are scalars, means over images."""

    @abstractmethod
    def real(self, scores: Tensor) -> Tensor:
        """The discriminator's loss on real images."""

    @abstractmethod
    def fake(self, scores: Tensor) -> Tensor:
        """The discriminator's loss on generated images, which is added to that on real ones."""

    @abstractmethod
    def generator(self, scores: Tensor) -> Tensor:
        """The generator's loss, of the scores of its images."""

    def penalty(self, discriminator: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Optional[Tensor]:
        """A third term of the discriminator's loss, ``None`` where there is none.

        Args:
            discriminator: gives images ``(N, C, H, W)`` their scores ``(N,)``.
            real: real images.
            fake: as many generated ones, detached.
        """
        return None

    def constrain(self, discriminator: nn.Module) -> None:
        """Puts the parameters of the discriminator back into their allowed range, after each of its steps."""


@MODELS.register_module()
class MinimaxGANLoss(AdversarialLoss):
    r"""The original game (Goodfellow et al., NeurIPS 2014, Eq. 1).

    .. math::
        L_D = -E[\log \sigma(D(x))] - E[\log(1 - \sigma(D(\tilde x)))], \quad
        L_G = E[\log(1 - \sigma(D(\tilde x)))]

    L_G saturates: its gradient vanishes where D is sure that an image is generated, as it is early in training.

    Examples:
        >>> loss = MinimaxGANLoss()
        >>> loss.real(torch.zeros(2)), loss.generator(torch.zeros(2))  # log 2, -log 2
        (tensor(0.6931), tensor(-0.6931))
    """

    def real(self, scores: Tensor) -> Tensor:
        return F.softplus(-scores).mean()

    def fake(self, scores: Tensor) -> Tensor:
        return F.softplus(scores).mean()

    def generator(self, scores: Tensor) -> Tensor:
        return -F.softplus(scores).mean()


@MODELS.register_module()
class NonSaturatingGANLoss(MinimaxGANLoss):
    r"""The same discriminator, but :math:`L_G = -E[\log \sigma(D(\tilde x))]` (Goodfellow et al., section 3).

    L_G has the same fixed point and, where D is sure that an image is generated, the gradient -1 to its score.
    """

    def generator(self, scores: Tensor) -> Tensor:
        return F.softplus(-scores).mean()


@MODELS.register_module()
class LeastSquaresGANLoss(AdversarialLoss):
    r"""Least squares GAN (Mao et al., ICCV 2017, Eq. 9: a = 0, b = c = 1); D(x) is a value, not a logit.

    .. math::
        L_D = \tfrac12 E[(D(x) - 1)^2] + \tfrac12 E[D(\tilde x)^2], \quad L_G = \tfrac12 E[(D(\tilde x) - 1)^2]

    Others apply a sigmoid to D(x) first, or leave out the halves.
    """

    def real(self, scores: Tensor) -> Tensor:
        return (scores - 1).square().mean() / 2

    def fake(self, scores: Tensor) -> Tensor:
        return scores.square().mean() / 2

    def generator(self, scores: Tensor) -> Tensor:
        return (scores - 1).square().mean() / 2


class WassersteinLoss(AdversarialLoss):
    r""":math:`L_D = E[D(\tilde x)] - E[D(x)]`, :math:`L_G = -E[D(\tilde x)]`.

    If D is 1-Lipschitz, the least L_D is minus the Wasserstein-1 distance of the images and the generated ones. So D,
    the critic, is trained several steps for each step of G, and a subclass keeps it Lipschitz.
    """

    def real(self, scores: Tensor) -> Tensor:
        return -scores.mean()

    def fake(self, scores: Tensor) -> Tensor:
        return scores.mean()

    def generator(self, scores: Tensor) -> Tensor:
        return -scores.mean()


@MODELS.register_module()
class WGANLoss(WassersteinLoss):
    """Wasserstein GAN (Arjovsky et al., ICML 2017, Algorithm 1): the critic's parameters are clipped after each step.

    The paper trains with RMSprop, 5e-5, and five steps of the critic for one of the generator.

    Args:
        clip_value: c > 0; all parameters are clipped to [-c, c].

    Raises:
        ValueError: ``clip_value`` is not > 0.
    """

    def __init__(self, clip_value: float = 0.01) -> None:
        super().__init__()
        hint = 'Parameters of the critic are clipped to [-clip_value, clip_value]; the paper takes 0.01.'
        require(is_number(clip_value, 0) and clip_value > 0, 'WGANLoss', 'clip_value', '> 0', clip_value, hint)
        self.clip_value = clip_value

    @torch.no_grad()
    def constrain(self, discriminator: nn.Module) -> None:
        for parameter in discriminator.parameters():
            parameter.clamp_(-self.clip_value, self.clip_value)


@MODELS.register_module()
class WGANGPLoss(WassersteinLoss):
    r"""Wasserstein GAN with gradient penalty (Gulrajani et al., NeurIPS 2017, Algorithm 1).

    Adds :math:`\lambda` times :func:`gradient_penalty` to L_D. The paper trains with Adam, 1e-4, betas (0, 0.9), and
    five steps of the critic for one of the generator. The penalty is of each image alone: the critic must have no batch
    norm.

    Args:
        penalty_weight: :math:`\lambda` > 0.

    Raises:
        ValueError: ``penalty_weight`` is not > 0.
    """

    def __init__(self, penalty_weight: float = 10.0) -> None:
        super().__init__()
        right = is_number(penalty_weight, 0) and penalty_weight > 0
        hint = 'It is the weight of the gradient penalty; the paper takes 10.'
        require(right, 'WGANGPLoss', 'penalty_weight', '> 0', penalty_weight, hint)
        self.penalty_weight = penalty_weight

    def penalty(self, discriminator: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Tensor:
        return self.penalty_weight * gradient_penalty(discriminator, real, fake)


def gradient_penalty(discriminator: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Tensor:
    r""":math:`E[(\lVert \nabla D(\hat x) \rVert_2 - 1)^2]` on lines between real and generated images.

    There is one point on each line, :math:`\hat x = u x + (1 - u) \tilde x` with u uniform in [0, 1].

    Args:
        discriminator: gives images ``(N, ...)`` their scores ``(N,)``, each image by itself.
        real: real images.
        fake: as many generated ones.

    Returns:
        A scalar with a graph to the parameters of the discriminator.

    Examples:
        >>> x = torch.zeros(1, 2)
        >>> gradient_penalty(lambda image: image @ torch.tensor([3.0, 4.0]), x, x)  # (5 - 1)^2
        tensor(16.)
    """
    shares = torch.rand(len(real), *[1] * (real.dim() - 1), dtype=real.dtype, device=real.device)
    between = torch.lerp(fake, real, shares).requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(between).sum(), between, create_graph=True)
    return (gradient.flatten(1).norm(dim=1) - 1).square().mean()
