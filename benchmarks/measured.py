"""What a measurement gives, and the little statistics that it needs."""

import math
import statistics
import sys
from collections.abc import Sequence

import msgspec

CONFIDENCE = 0.95


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """One measure: what AeroDB does, what the bare limit is, and their ratio; `more` holds what helps to judge them."""

    unit: str
    ours: float
    limit: float
    ratio: float
    more: dict[str, object]

    def document(self) -> dict[str, object]:
        """Return it as it stands in the last line's JSON."""
        numbers = {"ours": _short(self.ours), "limit": _short(self.limit), "ratio": _short(self.ratio)}
        return {"unit": self.unit, **numbers, **{name: _shortened(value) for name, value in self.more.items()}}


def _short(value: float) -> float:
    """Return four significant digits of `value`."""
    return float(f"{value:.4g}")


def _shortened(value: object) -> object:
    if isinstance(value, float):
        return _short(value)
    if isinstance(value, list | tuple):
        return [_shortened(each) for each in value]
    return value


def say(text: str) -> None:
    """Print progress at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def spread(name: str, values: Sequence[float]) -> dict[str, object]:
    """Return minimum, median and maximum of `values`, as one member called `name`."""
    return {name: [min(values), statistics.median(values), max(values)]}


def student(freedom: int) -> float:
    """Return the two-sided quantile of Student's t at 95 %.

    Source: Abramowitz and Stegun 26.7.5, whose error is below 1 % from five degrees of freedom on.
    """
    z = statistics.NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + math.fsum(term / float(freedom) ** power for power, term in enumerate(terms, 1))


def ratio_interval(ours: Sequence[float], limits: Sequence[float]) -> tuple[float, float, float]:
    """Return the geometric mean of the pairs' ratios, and its 95 % interval: low, mean, high."""
    logs = [math.log(one / other) for one, other in zip(ours, limits, strict=True)]
    mean = statistics.fmean(logs)
    if len(logs) < 2:
        return 0.0, math.exp(mean), math.inf
    half = student(len(logs) - 1) * statistics.stdev(logs) / math.sqrt(len(logs))
    return math.exp(mean - half), math.exp(mean), math.exp(mean + half)
