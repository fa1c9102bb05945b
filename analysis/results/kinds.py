"""The kinds of index that methods give: what a reader calls each one, and whether it is a share of a variance."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """How a kind of index is read.

    Args:
        label: its name in a sentence, without an article.
        share: whether it is a share of a variance, read in per cent. Of the others, effects are in the unit of the
            metric, and distances are bare numbers.
    """

    label: str
    share: bool


KINDS: dict[str, Kind] = {
    "total": Kind("total index", True),
    "first": Kind("first-order index", True),
    "second": Kind("second-order index", True),
    "single_total": Kind("total index of a single training", True),
    "single_first": Kind("first-order index of a single training", True),
    "shapley": Kind("Shapley effect", True),
    "mu_star": Kind("mean absolute effect across its range", False),
    "mu": Kind("mean effect across its range", False),
    "rms": Kind("root mean square effect, noise taken out", False),
    "sigma": Kind("spread of the effect, noise taken out", False),
    "pawn": Kind("PAWN index", False),
    "delta": Kind("delta index", False),
    "raw": Kind("estimate before its bias is taken out", False),
    "unexplained": Kind("share that the model does not explain", True),
}

BESIDE = {"sobol": "first", "bounded": "first", "hdmr": "first", "morris": "mu_star"}
"""By method, the kind of index that stands beside the one that ranks."""
