"""The losses once more, one sample at a time in NumPy or plain Python: the references of the tests."""

import math

import numpy as np
from scipy import integrate, optimize


def softmax(logits):
    e = np.exp(logits - np.max(logits))
    return e / e.sum()


def sigmoid(logits):
    return 1 / (1 + np.exp(-np.asarray(logits, dtype=float)))


def one_hot(label, count):
    return np.array([1.0 if c == label else 0.0 for c in range(count)])


def candidate(name, logits, label, use_sigmoid):
    p = sigmoid(logits) if use_sigmoid else softmax(logits)
    y = one_hot(label, len(logits))
    if name == 'mean_squared_error':
        return (p - y) ** 2
    if name == 'mean_absolute_error':
        return abs(p - y)
    if name == 'categorical_hinge':
        return max(0.0, 1 + max((1 - y) * p) - sum(y * p))
    if name == 'cosine_proximity':
        norm = np.linalg.norm(p) * np.linalg.norm(y)
        return 1 - (p @ y / norm if norm else 0.0)
    return -y * np.log(p) - (1 - y) * np.log(1 - p)


def log_t(x, t):
    return math.log(x) if t == 1 else (x ** (1 - t) - 1) / (1 - t)


def exp_t(x, t):
    return math.exp(x) if t == 1 else max(0.0, 1 + (1 - t) * x) ** (1 / (1 - t))


def tempered_softmax(logits, t):
    """By root finding on the defining equation: the probabilities sum to 1."""
    top = max(logits)
    excess = lambda shift: sum(exp_t(a - shift, t) for a in logits) - 1  # noqa: E731
    upper = top - log_t(1 / len(logits), t) + 1e-9
    shift = optimize.brentq(excess, top - 1e-12, upper + 1e-6, xtol=1e-14)
    return [exp_t(a - shift, t) for a in logits]


def bi_tempered(logits, target, t1, t2):
    loss = 0.0
    for y, p in zip(target, tempered_softmax(logits, t2)):
        if y:
            loss += y * (log_t(y, t1) - log_t(p, t1))
        loss -= (y ** (2 - t1) - p ** (2 - t1)) / (2 - t1)
    return loss


def general_robust(x, alpha, c):
    z = (x / c) ** 2
    return abs(alpha - 2) / alpha * ((z / abs(alpha - 2) + 1) ** (alpha / 2) - 1)


def log_partition(alpha):
    rho = {0: lambda x: math.log1p(x * x / 2), 2: lambda x: x * x / 2}.get(
        alpha, lambda x: general_robust(x, alpha, 1.0)
    )
    value, _ = integrate.quad(lambda x: math.exp(-rho(x)), 0, np.inf, limit=500)
    return math.log(2 * value)


def large_margin_logit(x, w, margin):
    """Logit of the true class by the definition of psi, with arc cosine and loop over the pieces."""
    norm = np.linalg.norm(x) * np.linalg.norm(w)
    theta = math.acos(np.clip(x @ w / norm, -1, 1))
    for k in range(margin):
        if k * math.pi / margin <= theta <= (k + 1) * math.pi / margin:
            return norm * ((-1) ** k * math.cos(margin * theta) - 2 * k)
    raise AssertionError(theta)
