"""The losses once more, one sample at a time in NumPy or plain Python: the references of the tests."""

import math
from decimal import Decimal, localcontext

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


def general_robust(x, alpha, c=1.0):
    """The formula as printed, in 60 digits."""
    with localcontext() as context:
        context.prec = 60
        z = (Decimal(x) / Decimal(c)) ** 2
        alpha = Decimal(alpha)
        if alpha.is_infinite():
            return float((z / 2).exp() - 1 if alpha > 0 else 1 - (-z / 2).exp())
        return float(_general_robust(z, alpha))


def general_robust_slope(x, alpha):
    """The derivative with respect to alpha, as a difference in 60 digits."""
    with localcontext() as context:
        context.prec = 60
        z, alpha, step = Decimal(x) ** 2, Decimal(alpha), Decimal('1e-20')
        return float((_general_robust(z, alpha + step) - _general_robust(z, alpha - step)) / (2 * step))


def _general_robust(z, alpha):
    if alpha == 0:
        return (z / 2 + 1).ln()
    if alpha == 2:
        return z / 2
    b = abs(alpha - 2)
    return b / alpha * ((z / b + 1) ** (alpha / 2) - 1)


def log_partition(alpha):
    """By adaptive quadrature in the angle whose tangent is x."""

    def density(angle):
        z = math.tan(angle) ** 2
        b = abs(alpha - 2)
        if alpha == 0:
            rho = math.log1p(z / 2)
        else:
            rho = z / 2 if alpha == 2 else b / alpha * math.expm1(alpha / 2 * math.log1p(z / b))
        return math.exp(-rho) / math.cos(angle) ** 2

    value, _ = integrate.quad(density, 0, math.pi / 2 - 1e-13, limit=1000, epsabs=1e-13, epsrel=1e-13)
    return math.log(2 * value)


def large_margin_logit(x, w, margin):
    """Logit of the true class by the definition of psi, with arc cosine and loop over the pieces."""
    norm = np.linalg.norm(x) * np.linalg.norm(w)
    theta = math.acos(np.clip(x @ w / norm, -1, 1))
    for k in range(margin):
        if k * math.pi / margin <= theta <= (k + 1) * math.pi / margin:
            return norm * ((-1) ** k * math.cos(margin * theta) - 2 * k)
    raise AssertionError(theta)
