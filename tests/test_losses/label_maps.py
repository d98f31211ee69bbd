"""Maps of classes and logits for the losses of segmentation."""

import torch


def random_labels(classes=3, shape=(4, 17, 23)):
    labels = torch.randint(0, classes, shape, generator=torch.Generator().manual_seed(0))
    labels[0] = 0  # an image without foreground
    labels[1] = 1  # and one without anything else
    return labels


def random_logits(classes=3, shape=(4, 17, 23)):
    return 3 * torch.randn(shape[0], classes, *shape[1:], generator=torch.Generator().manual_seed(1))


def one_hot(labels, classes=3):
    return torch.nn.functional.one_hot(labels, classes).movedim(-1, 1).float()
