"""Draws an image of digits-VOC: handwritten digits on a cluttered canvas."""

from typing import List, NamedTuple, Optional, Sequence, Tuple

import cv2
import numpy as np

Box = Tuple[int, int, int, int]
"""Pixels x1, y1, x2, y2, counted from 0, with x2 and y2 inside the box."""

_INK = 0.25  # pixels with at least this share of ink belong to the digit
_MIN_CONTRAST = 70.0  # grey levels (0 to 255) between a digit and what lies under it


class DrawnDigit(NamedTuple):
    """A digit that found a place.

    Attributes:
        position: its index in the scans.
        box: the tight box around its ink.
        mask: where in the box its ink is, (height, width) of bool.
    """

    position: int
    box: Box
    mask: np.ndarray


def draw_image(
    scans: np.ndarray, image_size: int, digit_size: Tuple[int, int], rng: np.random.Generator
) -> Tuple[np.ndarray, List[DrawnDigit]]:
    """Draws digits that do not overlap.

    Args:
        scans: ink of the digits to draw, (N, 8, 8) of 0 to 16.
        image_size: side of the image in pixels.
        digit_size: smallest and largest side of an enlarged scan in pixels.
        rng: source of everything random.

    Returns:
        The image (image_size, image_size, 3) as uint8, and the digits that could be placed.
    """
    canvas = _draw_background(image_size, rng)
    drawn: List[DrawnDigit] = []
    for position, scan in enumerate(scans):
        ink = enlarge(scan / 16.0, int(rng.integers(digit_size[0], digit_size[1] + 1)), rng)
        box = _find_place(ink.shape, [digit.box for digit in drawn], image_size, rng)
        if box is None:
            continue
        x1, y1, x2, y2 = box
        under = canvas[y1 : y2 + 1, x1 : x2 + 1]
        colour = _contrasting_colour(under.mean(axis=(0, 1)), rng)
        alpha = ink[..., None] * rng.uniform(0.85, 1.0)
        canvas[y1 : y2 + 1, x1 : x2 + 1] = under * (1 - alpha) + colour * alpha
        drawn.append(DrawnDigit(position, box, ink >= _INK))

    canvas += rng.normal(0, rng.uniform(2, 8), canvas.shape)
    return canvas.clip(0, 255).astype(np.uint8), drawn


def _draw_background(size: int, rng: np.random.Generator) -> np.ndarray:
    """A canvas (size, size, 3) of float32: gradient, blotches, shapes, thin lines, pen strokes."""
    ramp = np.linspace(-0.5, 0.5, size)
    angle = rng.uniform(0, 2 * np.pi)
    gradient = ramp[None, :] * np.cos(angle) + ramp[:, None] * np.sin(angle)
    base = rng.uniform(40, 215, 3)
    canvas = base + gradient[..., None] * rng.uniform(-80, 80, 3)
    noise = rng.normal(0, rng.uniform(4, 16), (6, 6, 3))
    blotches = cv2.resize(noise, (size, size), interpolation=cv2.INTER_CUBIC)
    canvas = (canvas + blotches).astype(np.float32)

    def point() -> Tuple[int, int]:
        x, y = rng.integers(0, size, 2)
        return int(x), int(y)

    def similar_colour() -> Tuple[float, ...]:
        return tuple((base + rng.normal(0, 35, 3)).clip(0, 255).tolist())

    for _ in range(rng.integers(0, 4)):
        thickness = int(rng.choice([cv2.FILLED, 1, 2]))
        if rng.random() < 0.5:
            cv2.rectangle(canvas, point(), point(), similar_colour(), thickness, cv2.LINE_AA)
        else:
            axes = rng.integers(4, max(size // 3, 5), 2).tolist()
            ellipse = (point(), axes, float(rng.uniform(0, 180)), 0, 360, similar_colour())
            cv2.ellipse(canvas, *ellipse, thickness, cv2.LINE_AA)
    for _ in range(rng.integers(0, 4)):
        cv2.line(canvas, point(), point(), similar_colour(), 1, cv2.LINE_AA)
    for _ in range(rng.integers(0, 3)):  # distractors: pen strokes that are no digits
        steps = rng.normal(0, 9, (int(rng.integers(2, 4)), 2))
        stroke = np.cumsum(np.vstack([point(), steps]), axis=0).astype(np.int32)
        colour = _contrasting_colour(base, rng).tolist()
        cv2.polylines(canvas, [stroke], False, colour, int(rng.integers(2, 5)), cv2.LINE_AA)
    return canvas


def enlarge(scan: np.ndarray, side: int, rng: np.random.Generator) -> np.ndarray:
    """Enlarges and slants a scan (8, 8) of [0, 1] smoothly, cropped to the ink that can be seen."""
    scale = side / 8
    slant = rng.uniform(-0.2, 0.2)
    matrix = np.array([[scale * rng.uniform(0.8, 1.0), scale * slant, 0.0], [0.0, scale, 0.0]])
    paper = np.pad(scan, 2).astype(np.float32)  # an empty margin, for the slant
    size = int(side * 1.25)
    middle = np.array([5.5, 5.5])  # of the paper, moved to the middle of the result
    matrix[:, 2] = (size - 1) / 2 - matrix[:, :2] @ middle
    ink = cv2.warpAffine(paper, matrix, (size, size), flags=cv2.INTER_CUBIC)
    ink = ((ink - 0.15) / 0.55).clip(0, 1)  # sharpens the edges, which the enlargement blurred
    seen = ink >= _INK
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _find_place(
    shape: Tuple[int, ...],
    taken: Sequence[Box],
    image_size: int,
    rng: np.random.Generator,
    tries: int = 30,
) -> Optional[Box]:
    """A random box for a digit of ``shape`` (height, width) that overlaps no other; ``None`` if none was found."""
    height, width = shape
    for _ in range(tries):
        x1 = int(rng.integers(0, image_size - width + 1))
        y1 = int(rng.integers(0, image_size - height + 1))
        x2, y2 = x1 + width - 1, y1 + height - 1
        if all(x2 < a1 or a2 < x1 or y2 < b1 or b2 < y1 for a1, b1, a2, b2 in taken):
            return x1, y1, x2, y2
    return None


def _contrasting_colour(under: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A colour whose grey level is at least ``_MIN_CONTRAST`` away from that of ``under``."""
    while True:
        colour = rng.uniform(0, 255, 3)
        if abs(colour.mean() - under.mean()) >= _MIN_CONTRAST:
            return colour
