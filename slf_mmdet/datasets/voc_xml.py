"""Reads one PASCAL VOC annotation file, and describes what is wrong in it.

Coordinates here are those of the file: pixels counted from 1, both corners included.
"""

import xml.etree.ElementTree as ET
from typing import List, Optional, Sequence, Tuple

CORNERS = ('xmin', 'ymin', 'xmax', 'ymax')


def read_xml(path: str) -> ET.Element:
    """Root element of an annotation file.

    Raises:
        ValueError: there is no such file, or it is not xml.
    """
    try:
        return ET.parse(path).getroot()
    except OSError as error:
        raise ValueError(f'cannot be read ({error.strerror})') from error
    except (
        ET.ParseError,
        LookupError,
        ValueError,
    ) as error:  # syntax, unknown encoding, wrong encoding
        raise ValueError(f'malformed xml ({error})') from error


def read_size(root: ET.Element) -> Optional[Tuple[int, int]]:
    """Width and height of the image in pixels, or None where the file has no ``<size>``.

    Raises:
        ValueError: a value is missing, not a number, or less than 1.
    """
    if root.find('size') is None:
        return None
    texts = [root.findtext(f'size/{key}') for key in ('width', 'height')]
    try:
        width, height = (int(float(text or '')) for text in texts)
    except (ValueError, OverflowError):
        width = height = 0
    if width < 1 or height < 1:
        raise ValueError(f'<size> must hold <width> and <height> >= 1, found {texts[0]!r} and {texts[1]!r}')
    return width, height


def read_name(item: ET.Element) -> str:
    """Class name of an ``<object>``, whose ``<difficult>`` is checked, too.

    Raises:
        ValueError: there is no name, or ``<difficult>`` is neither 0 nor 1.
    """
    name = item.findtext('name')
    if not name:
        raise ValueError('an <object> has no <name>')
    difficult = item.findtext('difficult', default='0')
    if difficult.strip() not in ('0', '1'):
        raise ValueError(f'<difficult> of {name!r} must be 0 or 1, found {difficult!r}')
    return name


def read_box(item: ET.Element, width: int, height: int) -> Tuple[Optional[List[int]], str]:
    """Box of an ``<object>``, as far as it can be used.

    Args:
        item: the ``<object>``.
        width: width of the image in pixels.
        height: height of the image in pixels.

    Returns:
        The corners (xmin, ymin, xmax, ymax) within the image, or None if nothing is left of it;
        and what is wrong, or ''.
    """
    texts = [item.findtext(f'bndbox/{corner}') for corner in CORNERS]
    try:
        corners = [int(float(text or '')) for text in texts]
    except (ValueError, OverflowError):
        return None, f'box {texts} is not numeric'

    xmin, ymin, xmax, ymax = corners
    if xmax < xmin or ymax < ymin:
        return None, f'box {corners} is inverted'
    if xmax == xmin or ymax == ymin:
        return None, f'box {corners} has no area'
    inside = [max(xmin, 1), max(ymin, 1), min(xmax, width), min(ymax, height)]
    if inside[2] <= inside[0] or inside[3] <= inside[1]:
        return None, f'box {corners} is outside of the image of {width}x{height} pixels'
    # Files that count from 0, or were rescaled, are often off by one: not reported
    if max(abs(a - b) for a, b in zip(corners, inside)) > 1:
        return inside, f'box {corners} sticks out of the image of {width}x{height} pixels'
    return inside, ''


def write_box(item: ET.Element, corners: Sequence[int]) -> None:
    """Replaces the box of an ``<object>``."""
    for old in item.findall('bndbox'):
        item.remove(old)
    box = ET.SubElement(item, 'bndbox')
    for tag, corner in zip(CORNERS, corners):
        ET.SubElement(box, tag).text = str(corner)


def hidden_objects(root: ET.Element) -> str:
    """Says why objects of an annotation would not be found, which mmdet looks for directly below the root; or ''."""
    hidden = [item for item in root.iter() if _local_name(item.tag) == 'object' and item is not root]
    hidden = [item for item in hidden if item.tag != 'object' or item not in list(root)]
    if not hidden:
        return ''
    tag = hidden[0].tag
    if '}' in tag:
        return (
            f'has {len(hidden)} object(s) in the XML namespace {tag[1:].partition("}")[0]!r}, where mmdet does not '
            'find them: remove xmlns from the file'
        )
    parents = {child: parent for parent in root.iter() for child in parent}
    return (
        f'has {len(hidden)} object(s) inside <{parents[hidden[0]].tag}>, where mmdet does not find them: put <object> '
        f'directly below <{root.tag}>'
    )


def _local_name(tag: str) -> str:
    return str(tag).rpartition('}')[2]
