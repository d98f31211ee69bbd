"""Files in the format of MNIST."""

import struct


def write_mnist(root, split, images, labels):
    """Writes idx files, a head of big-endian numbers and then bytes, for mmpretrain's ``MNIST``.

    Args:
        root: folder of the files.
        split: 'train' or 't10k'.
        images: (N, H, W), uint8.
        labels: (N,).
    """
    root.mkdir(parents=True, exist_ok=True)
    head = struct.pack('>4i', 0x803, *images.shape)
    (root / f'{split}-images-idx3-ubyte').write_bytes(head + images.tobytes())
    head = struct.pack('>2i', 0x801, len(labels))
    (root / f'{split}-labels-idx1-ubyte').write_bytes(head + labels.astype('u1').tobytes())
