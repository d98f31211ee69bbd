"""What tells the images of a data set apart."""

from typing import Any, Optional

KEYS = ('img_path', 'img_id', 'sample_idx')


def image_id(info: Any) -> Optional[str]:
    """Path of an image, or its id: one from memory has no path, only a number.

    Args:
        info: what a data set knows of the image, or its data sample; anything with ``get``.

    Returns:
        ``None`` where there is neither.
    """
    return next((str(info.get(key)) for key in KEYS if info.get(key) is not None), None)
