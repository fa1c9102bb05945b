"""A study's records analysed by a method, or the one sentence that says what is missing."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcm_sweep.analysis._points import check_varied
from vcm_sweep.analysis.errors import AnalysisError
from vcm_sweep.analysis.failures import POLICIES, Failures, count_kinds, drop_blocks, fill_worst
from vcm_sweep.analysis.metrics import Output, read_output
from vcm_sweep.analysis.result import Sensitivity
from vcm_sweep.analysis.source import ResultsSource

Array = NDArray[np.float64]

# Of a design of their own, by the [design] method that makes it; the first is that design's default.
DESIGNED = {"sobol": ("sobol",), "morris": ("morris",), "shapley": ("shapley",)}
# From any points.
GIVEN = ("pawn", "delta", "rbd-fast", "hdmr")
METHODS = (*DESIGNED, *GIVEN)
_UNITS = {"sobol": "base blocks", "morris": "trajectories", "shapley": "trajectories"}


def analyze(
    results: ResultsSource,
    metric: str = "accuracy",
    *,
    method: str = "",
    policy: str = "fail",
    resamples: int | None = None,
    confidence: float = 0.95,
    seed: int = 1,
) -> Sensitivity:
    """The sensitivity of ``metric`` to the study's factors, by the design's own method or any for given points.

    Trainings that failed are never left out silently: dropping them biases every index towards the points that
    train well. Low accuracy is no failure and stays in; `metrics.MADE` has metrics that take the two apart.

    Args:
        metric: one of `metrics.METRICS`.
        method: one of `METHODS`; "" for the design's own. Where rows of a design share coordinates, methods for
            given points resample and shuffle them by block.
        policy: ``fail`` refuses records with failures; ``drop-block`` leaves out the blocks in which a point has no
            result; ``worst-case`` gives failed trainings the worst value that another had.
        resamples: of the bootstrap; None for the method's own number.

    Raises:
        AnalysisError: records are missing or failed, a factor never varied, or the method refuses them.
    """
    layout = getattr(results.study.design, "method", "sobol")
    if layout == "limits":
        raise AnalysisError(
            f"{results.study.name}: a limits design gives costs, and no shares of a variance: vcm-sweep analyze prints "
            "them, vcm_sweep.analysis.limit_costs computes them"
        )
    method = method or layout
    if method not in METHODS:
        raise AnalysisError(f"method: {method!r} is not one of {', '.join(METHODS)}")
    if method not in (*GIVEN, layout):
        raise AnalysisError(
            f"method: {method} needs a study of [design] method = {method!r}, and this one is {layout!r}; from these "
            f"points: {', '.join((layout, *GIVEN))}"
        )
    if policy not in POLICIES:
        raise AnalysisError(f"policy: {policy!r} is not one of {', '.join(POLICIES)}")
    output = read_output(results, metric)
    points = np.asarray(results.points(), dtype=np.float64)
    check_varied(points, [factor.name for factor in results.study.factors])
    blocks = points.reshape(*output.y.shape[:2], -1)

    drawn = {} if resamples is None else {"resamples": resamples}

    def indices(x: Array, y: Array, of: str, by: str) -> Sensitivity:
        return _METHODS[by](results, x, y, {"metric": of, **drawn, "confidence": confidence, "seed": seed})

    y, keep, failures = _by_policy(results, output, policy, _UNITS[layout])
    result = indices(blocks[keep], y, metric, method)
    if failures.failed and not metric.startswith("p_"):
        try:
            failed = np.where(output.status == "", np.nan, output.status != "ok").astype(np.float64)
            failures = replace(failures, sensitivity=indices(blocks, failed, "p_failed", layout))
        except AnalysisError as error:
            failures = replace(failures, why=str(error))
    return replace(result, failures=failures)


def _by_policy(
    results: ResultsSource, output: Output, policy: str, unit: str
) -> tuple[Array, NDArray[np.bool_], Failures]:
    """The output without gaps, which units it holds, and what was done."""
    everyone = np.ones(len(output.y), dtype=bool)
    failures = Failures(
        policy="drop-block" if output.given else policy,
        trainings=int((output.status != "").sum()),
        kinds=count_kinds(output.status),
        unit=unit,
        units=len(output.y),
    )
    if not output.failed.any():
        return output.y, everyone, failures
    if output.given or policy == "drop-block":
        y, keep = drop_blocks(output.y)
        if not keep.any():
            raise AnalysisError(
                f"{output.metric}: every one of {len(keep)} {unit} holds a point without a value, so drop-block leaves "
                "nothing; narrow the ranges, or analyse p_failed and p_chance"
            )
        return y, keep, replace(failures, dropped=int((~keep).sum()))
    if policy == "worst-case":
        y, worst = fill_worst(output.y, output.failed, output.metric)
        return y, everyone, replace(failures, worst=worst)
    raise AnalysisError(
        f"{results.study.name}: {failures.words()}, and leaving them out would bias the indices; vcm-sweep run --retry "
        "runs them again, or narrow the ranges, or name a policy: drop-block or worst-case"
    )


def _sobol(results: ResultsSource, x: Array, y: Array, options: dict[str, Any]) -> Sensitivity:
    from vcm_sweep.analysis.sobol import sobol_indices

    names, groups = _ranked(results)
    return sobol_indices(y, names, groups=groups, seeds=results.study.design.seeds, **options)


def _morris(results: ResultsSource, x: Array, y: Array, options: dict[str, Any]) -> Sensitivity:
    from vcm_sweep.analysis.morris import morris_effects

    names = [factor.name for factor in results.study.factors]
    groups = _ranked(results)[1]
    return morris_effects(_scaled(results, x), y, names, groups=groups, seeds=results.study.design.seeds, **options)


def _shapley(results: ResultsSource, x: Array, y: Array, options: dict[str, Any]) -> Sensitivity:
    from vcm_sweep.analysis.shapley import shapley_effects

    names = [factor.name for factor in results.study.factors]
    return shapley_effects(x, y, names, seeds=results.study.design.seeds, **options)


def _given(method: str, results: ResultsSource, x: Array, y: Array, options: dict[str, Any]) -> Sensitivity:
    from vcm_sweep.analysis.delta import delta_indices
    from vcm_sweep.analysis.hdmr import hdmr_indices
    from vcm_sweep.analysis.pawn import pawn_indices
    from vcm_sweep.analysis.rbd_fast import rbd_fast_indices

    function = {
        "pawn": pawn_indices, "delta": delta_indices, "rbd-fast": rbd_fast_indices, "hdmr": hdmr_indices
    }[method]  # fmt: skip
    # HDMR needs the distributions, the others the order of values only.
    x = _scaled(results, x) if method == "hdmr" else x
    block = np.repeat(np.arange(len(x)), x.shape[1])
    return function(
        x.reshape(-1, x.shape[2]),
        y.reshape(-1, y.shape[2]),
        [factor.name for factor in results.study.factors],
        blocks=block,
        seeds=results.study.design.seeds,
        **options,
    )


def _scaled(results: ResultsSource, x: Array) -> Array:
    """Points with each factor in [0, 1], uniform; x: (..., D)."""
    u = np.empty_like(x)
    for j, factor in enumerate(results.study.factors):
        shape = np.log if factor.distribution == "loguniform" else np.asarray
        low, high = shape(factor.low), shape(factor.high)
        # The ends of a range come back from its logarithm with a rounding error.
        u[..., j] = np.clip((shape(x[..., j]) - low) / (high - low), 0.0, 1.0)
    return u


def _ranked(results: ResultsSource) -> tuple[list[str], dict[str, tuple[str, ...]] | None]:
    """Names of what the design exchanges at a time, and the groups where it has any."""
    groups = getattr(results.study.design, "groups", None)
    if groups:
        return list(groups), {name: tuple(members) for name, members in groups.items()}
    return [factor.name for factor in results.study.factors], None


_METHODS: dict[str, Callable[[ResultsSource, Array, Array, dict[str, Any]], Sensitivity]] = {
    "sobol": _sobol,
    "morris": _morris,
    "shapley": _shapley,
    **{name: partial(_given, name) for name in GIVEN},
}
