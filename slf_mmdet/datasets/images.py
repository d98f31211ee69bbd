"""Whether the pipeline's decoder can read an image."""

import cv2
import mmcv


def decoding_fault(content: bytes) -> str:
    """Decodes an image as mmdet's ``LoadImageFromFile`` does.

    Args:
        content: of the file.

    Returns:
        What is wrong, or ''.
    """
    try:
        image = mmcv.imfrombytes(content)
    except cv2.error as error:
        return f'image cannot be decoded ({error.err})'
    return 'image cannot be decoded' if image is None else ''
