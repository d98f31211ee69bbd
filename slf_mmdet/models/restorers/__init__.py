"""Images from images."""

from .residual_upsampler import ResidualUpsampler
from .super_resolver import SuperResolver

__all__ = ['ResidualUpsampler', 'SuperResolver']
