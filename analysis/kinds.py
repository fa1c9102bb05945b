"""The kinds of index that the methods give: what each is called, and whether it is a share of variance."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """How a kind of index is read.

    Args:
        label: in a sentence, without article.
        share: whether it is a share of a variance, read in per cent; others are in ``unit``.
        unit: "" for a bare number, "metric" for the metric's own unit.
    """

    label: str
    share: bool
    unit: str = ""


KINDS: dict[str, Kind] = {
    "total": Kind("total index", True),
    "first": Kind("first-order index", True),
    "second": Kind("second-order index", True),
    "single_total": Kind("total index of a single training", True),
    "single_first": Kind("first-order index of a single training", True),
    "shapley": Kind("Shapley effect", True),
    "mu_star": Kind("mean absolute effect of the whole range", False, "metric"),
    "mu": Kind("mean effect of the whole range", False, "metric"),
    "rms": Kind("root mean square effect, noise taken out", False, "metric"),
    "sigma": Kind("spread of the effect, noise taken out", False, "metric"),
    "pawn": Kind("PAWN index", False),
    "delta": Kind("delta index", False),
    "raw": Kind("estimate before its bias is taken out", False),
    "unexplained": Kind("share that no term of the model explains", True),
}
