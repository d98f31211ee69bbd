"""What signals that compare gradients compute, by finite differences and weighted sums."""

import math

import torch


def aligned(gradients, weights, target_gradient):
    """How the target rises in a step, as a function of the logarithm of each part's weight: the derivatives."""
    gradients, weights = gradients.double(), weights.double().mean(0)

    def raised(logs):
        """By how much a step with these log-weights raises the target, times the length of the gradient now."""
        direction = -(weights * logs.exp()) @ gradients
        return (direction @ target_gradient / direction.norm() * (weights @ gradients).norm()).item()

    return [(raised(1e-5 * unit) - raised(-1e-5 * unit)) / 2e-5 for unit in torch.eye(4, dtype=torch.double)]


def shrunk_costs(seen, momentum):
    """Costs of four parts from their alignments in all measurements so far, by weighted sums."""
    if not seen:
        return [0.0] * 4
    shares = [momentum ** (len(seen) - 1 - k) for k in range(len(seen))]
    number = min(len(seen), (1 + momentum) / (1 - momentum))
    costs, squares = [], []
    for part in range(4):
        mean = sum(share * row[part] for share, row in zip(shares, seen)) / sum(shares)
        square = sum(share * row[part] ** 2 for share, row in zip(shares, seen)) / sum(shares)
        costs.append(-max(0.0, 1 - (square - mean**2) / (number * mean**2)) * mean)
        squares.append(square)
    return [cost / (7.5 * math.sqrt(max(squares))) for cost in costs]
