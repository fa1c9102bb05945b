"""`analyze`: a study's records analysed by a method, or an error that says in one sentence what is missing."""

import math
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vcm_sweep.analysis.errors import AnalysisError, NoiseError, TooFewError
from vcm_sweep.analysis.methods.luck import split_luck
from vcm_sweep.analysis.records.chance import ChanceError, check_chance
from vcm_sweep.analysis.records.metrics import Output, beyond_a_cliff, read_output, two_humps
from vcm_sweep.analysis.records.policies import check_policy, drop_blocks, fill_worst, refusal
from vcm_sweep.analysis.records.provisional import finished_part
from vcm_sweep.analysis.records.source import ResultsSource, opened
from vcm_sweep.analysis.results.failures import Failures, count_kinds
from vcm_sweep.analysis.results.luck_split import LuckSplit
from vcm_sweep.analysis.results.sensitivity import WHOLE, Sensitivity
from vcm_sweep.analysis.statistics.points import check_varied
from vcm_sweep.analysis.statistics.replicates import ended_first, replicated
from vcm_sweep.analysis.studies.within import Part, read_part
from vcm_sweep.sweep.study.tables.correlation import score_matrix

if TYPE_CHECKING:
    from vcm_sweep.sweep.store.results import Results
    from vcm_sweep.sweep.study.tables.design import DesignSpec

Array = NDArray[np.float64]

# The [design] methods whose points rank factors, each with the analyses that are its own, that which is offered first.
DESIGNED = {"sobol": ("bounded", "sobol"), "space": ("bounded",), "morris": ("morris",), "shapley": ("shapley",)}
# Methods that work with the points of any design.
GIVEN = ("bounded", "hdmr", "pawn", "delta", "rbd-fast")
# Methods for points whose factors are correlated, that which is offered first.
CORRELATED = ("bounded-shapley", "pawn", "delta")
METHODS = ("sobol", "morris", "shapley", "bounded-shapley", *GIVEN)
_UNITS = {"sobol": "base blocks", "space": "points", "morris": "trajectories", "shapley": "trajectories"}


def own_methods(design: "DesignSpec") -> tuple[str, ...]:
    """The analyses that are a design's own, that which is offered first at the start."""
    return CORRELATED[:1] if design.correlation else DESIGNED[design.method]


def analyze(
    results: ResultsSource,
    metric: str = "accuracy",
    *,
    method: str = "",
    policy: str = "fail",
    within: Mapping[str, Sequence[float]] | None = None,
    resamples: int | None = None,
    confidence: float = 0.95,
    seed: int = 1,
) -> Sensitivity:
    """The sensitivity of ``metric`` to the study's factors, by the design's own method or one for any given points.

    Trainings that failed are never left out silently: dropping them biases every index towards the points that
    train well. Low accuracy is no failure, and such trainings stay in; `metrics.METRICS` has metrics that separate
    trainings that learned nothing from the others.

    Args:
        results: a results folder, or what ``open_results`` returned for it.
        metric: one of `metrics.METRICS`.
        method: one of `METHODS`; "" for the design's own: bounded indices of Saltelli's rows too, or pick-freeze ones
            (``sobol``) where there are too few points, blocks or replicates. Where rows of a design share coordinates,
            methods for given points resample and shuffle them by block.
        policy: ``fail`` refuses records with failures; ``drop-block`` leaves out the blocks in which a point has no
            result; ``worst-case`` gives failed trainings the worst value that any other training had.
        within: (low, high) by factor, a part of the ranges: the points of a space study that lie in it are analysed as
            a study of that part. Beside a cliff of accuracy that tells the other factors apart.
        resamples: of the bootstrap; None for the method's own number.

    Raises:
        AnalysisError: records are missing or failed, a factor never varied, or the method refuses them.
    """
    options: dict[str, Any] = {} if resamples is None else {"resamples": resamples}
    part = finished_part(opened(results))
    prepared = prepare(part, metric, method=method, policy=policy, within=within)
    try:
        return concluded(prepared, confidence=confidence, seed=seed, **options)
    except AnalysisError as error:
        if not part.provisional or isinstance(error, ChanceError):
            raise
        lacks = error.lacks if isinstance(error, TooFewError) else str(error).partition(";")[0]
        raise AnalysisError(f"{part.study.name}: {part.provisional} They do not suffice yet: {lacks}") from None


def concluded(prepared: "Prepared", **options: Any) -> Sensitivity:
    """The sensitivity that prepared outputs show, with what is known of luck and failures; as `analyze`."""
    result = prepared.indices(**options)
    split, why = _split(prepared, options)
    remarks = (*prepared.why, *result.remarks, *why, *two_humps(prepared.output))
    result = replace(result, luck_split=split, remarks=remarks, over=prepared.over)
    output, failures, failing = prepared.output, prepared.failures, None
    if failures.failed and not output.metric.binary:
        try:
            failed = np.where(output.status == "", np.nan, output.status != "ok").astype(np.float64)
            own = own_methods(prepared.results.study.design)[-1]
            of = replace(prepared, metric="p_failed", y=failed, u=prepared.everywhere, method=own)
            failing = of.indices(**options)
        except AnalysisError as error:
            failures = replace(failures, why=str(error))
    return replace(result, failures=failures, failing=failing)


# Where so many trainings ended at chance level, that is why a study shows no more than noise.
_MOST = 0.5


@dataclass(frozen=True)
class Prepared:
    """A study's outputs, ready for a method.

    Args:
        method: that will analyse them. layout: the [design] method that made the points.
        u: (units, rows, D) points of the units that the failure policy keeps, as cumulative probabilities of the
            factors. everywhere: points of all units.
        y: (units, rows, R) outputs of the units that are kept. keep: (all units,) which these are.
        why: sentences on which points these are, and why the method is not the one that is offered first, if so.
        part: of the ranges, in which the points lie; None for all of them.
    """

    results: "Results"
    metric: str
    method: str
    layout: str
    u: Array
    everywhere: Array
    y: Array
    keep: NDArray[np.bool_]
    output: Output
    failures: Failures
    why: tuple[str, ...] = ()
    over: str = WHOLE
    part: Part | None = None

    def offered(self) -> "Prepared":
        """The same for the first of the layout's own methods that its outputs allow."""
        from vcm_sweep.analysis.methods.shares import too_few

        first, *others = own_methods(self.results.study.design)
        units, rows, _ = self.y.shape
        if others and (
            lacking := str(too_few(units * rows, units, replicated(self.y, self.trainings).replicated_rows) or "")
        ):
            why = "Pick-freeze indices, since bounded ones, which are several times narrower, lack something: "
            return replace(self, method=others[0], why=(*self.why, f"{why}{lacking.partition(': ')[2]}."))
        return replace(self, method=first)

    @property
    def units(self) -> int:
        """Number of base blocks or trajectories."""
        return len(self.y)

    @property
    def trainings(self) -> int:
        """Number of consecutive replicates that share an array."""
        return _trainings(self.results)

    def among(self, units: NDArray[np.bool_]) -> "Prepared":
        """The outputs of these units only, of those that are kept; units: a mask of all units."""
        keep = self.keep & units
        left = keep[self.keep]
        failures = replace(self.failures, dropped=int((~keep).sum()))
        return replace(self, u=self.u[left], y=self.y[left], keep=keep, failures=failures)

    def indices(self, first: int | None = None, **options: Any) -> Sensitivity:
        """The indices from the first ``first`` units, or from all of them."""
        given = {"metric": self.metric, "trainings": self.trainings, **options}
        try:
            return _METHODS[self.method](self.results, self.u[:first], self.y[:first], given)
        except NoiseError as error:
            check_chance(self.results, self.output, _MOST)
            cliff = beyond_a_cliff(self.output)
            raise NoiseError(f"{error}. {cliff}") if cliff else error from None
        except TooFewError as error:
            raise self.advised(error) from None

    def advised(self, error: TooFewError) -> TooFewError:
        """The error with the n that helps this study: of points some lie elsewhere, or were left out."""
        design, folder = self.results.study.design, shlex.quote(str(self.results.folder))
        if self.part is not None and error.least:
            more = self.part.takes(error.least)
            return TooFewError(
                f"{error.lacks}: so many lie within {self.part.words} of n = {more}, which vcm-sweep extend {folder} "
                f"--to {more} makes of the study, or give a wider part"
            )
        if not (self.failures.dropped and error.to):
            return error
        # As many of the new ones will be left out; a tenth more, since that share is known from few.
        units = self.failures.units
        needed = min(error.least, error.to) if error.least else error.to
        more = 2 ** math.ceil(math.log2(max(1.1 * needed * units / self.units, design.n + 1)))
        kept = "" if self.output.metric.given else "--policy worst-case keeps them, or "
        return TooFewError(
            f"{error.lacks}, and {self.failures.dropped} of {units} {self.failures.unit} were left out, where some "
            f"training has no value: {kept}vcm-sweep extend {folder} --to {more}"
        )


def prepare(
    results: "Results",
    metric: str,
    *,
    method: str = "",
    policy: str = "fail",
    within: Mapping[str, Sequence[float]] | None = None,
) -> Prepared:
    """The study's outputs as a method wants them; arguments and errors as for `analyze`."""
    layout = results.study.design.method
    if layout == "limits":
        raise AnalysisError(
            f"{results.study.name}: a limits design gives costs, not sensitivity indices: vcm-sweep analyze prints the "
            "costs, vcm_sweep.analysis.limit_costs computes them"
        )
    if layout == "conditions":
        raise AnalysisError(
            f"{results.study.name}: a study of conditions has no factors to compute indices of: vcm-sweep analyze "
            "prints what each condition costs, vcm_sweep.analysis.condition_costs computes it"
        )
    own = own_methods(results.study.design)
    if method and method not in METHODS:
        raise AnalysisError(f"method: {method!r} is not one of {', '.join(METHODS)}")
    if method and results.study.design.correlation and method not in CORRELATED:
        raise AnalysisError(
            f"method: {method} takes factors for independent, and [design.correlation] makes them correlated; methods "
            f"for its points are {', '.join(CORRELATED)}"
        )
    # Rows of one block share coordinates, so Shapley effects by a surrogate are for single points.
    also = CORRELATED[:1] if layout == "space" else ()
    if method and method not in (*GIVEN, *own, *also):
        raise AnalysisError(
            f"method: {method} needs a study with [design] method = {method!r}, and this one has {layout!r}; methods "
            f"for its points are {', '.join(dict.fromkeys((*own, *GIVEN)))}"
        )
    check_policy(policy)
    output = read_output(results, metric)
    blocks = results.cube().reshape(*output.y.shape[:2], -1)
    over, why, part = results.over or WHOLE, results.provisional, None
    if within:
        part = read_part(results, within)
        inside = part.holds(blocks[:, 0])
        output, blocks = output.only(inside), part.stretched(blocks[inside])
        over, why = f"With {part.words}", f"Analysed within {part.words}: {int(inside.sum())} of {len(inside)} points."
        over = f"{results.over.partition(':')[0]}: with {part.words}" if results.over else over
        why = " ".join(filter(None, (results.provisional, why)))
    check_chance(results, output)
    check_varied(results.points(), [factor.name for factor in results.study.factors])
    y, keep, failures = _by_policy(results, output, policy, _UNITS[layout])
    prepared = Prepared(
        results,
        metric,
        method,
        layout,
        blocks[keep],
        blocks,
        y,
        keep,
        output,
        failures,
        why=(why,) if why else (),
        over=over,
        part=part,
    )
    return prepared if method else prepared.offered()


def _split(prepared: Prepared, options: dict[str, Any]) -> tuple[LuckSplit | None, tuple[str, ...]]:
    """The luck split by its two sources where trainings are nested, or a sentence that says why it is not."""
    trainings = prepared.trainings
    if trainings == 1:
        return None, ()
    # Only whole arrays count: an extra run of some rows (replicate_rows) is an array with a single training.
    arrays = prepared.y.shape[2] // trainings
    whole = prepared.y[:, :, : arrays * trainings]
    whole = whole[np.isfinite(whole).all(axis=(1, 2))]
    try:
        nested = whole.reshape(-1, arrays, trainings)
        return split_luck(nested, block=prepared.y.shape[1], **options), ()
    except AnalysisError as error:
        return None, (f"Luck is not split into array and training ({error}).",)


def _by_policy(results: "Results", output: Output, policy: str, unit: str) -> tuple[Array, NDArray[np.bool_], Failures]:
    """The output without gaps, a mask of the units that it holds, and what was done about failures."""
    everyone = np.ones(len(output.y), dtype=bool)
    failures = Failures(
        policy="drop-block" if output.metric.given else policy,
        trainings=int((output.status != "").sum()),
        kinds=count_kinds(output.status),
        unit=unit,
        units=len(output.y),
    )
    if not output.failed.any():
        return output.y, everyone, failures
    if output.metric.given or policy == "drop-block":
        values = output.y
        if results.study.design.seeds == "common":
            # The trainings of one seed are compared with each other: without one of them none is left.
            values = np.where(output.failed.any(axis=1, keepdims=True), np.nan, values)
        y, keep = drop_blocks(values)
        if _trainings(results) > 1:
            y = ended_first(values[keep], _trainings(results))
        if not keep.any():
            raise AnalysisError(
                f"{output.metric.name}: every one of {len(keep)} {unit} holds a point without a value, so drop-block "
                "leaves nothing; narrow the ranges, or analyse p_failed and p_chance"
            )
        return y, keep, replace(failures, dropped=int((~keep).sum()))
    if policy == "worst-case":
        y, worst = fill_worst(output.y, output.failed, output.metric)
        return y, everyone, replace(failures, worst=worst)
    raise refusal(results.study.name, failures, "indices")


def _sobol(results: "Results", u: Array, y: Array, options: dict[str, Any]) -> Sensitivity:
    from vcm_sweep.analysis.methods.sobol import sobol_indices

    names, groups = _ranked(results)
    return sobol_indices(y, names, groups=groups, seeds=results.study.design.seeds, **options)


def _morris(results: "Results", u: Array, y: Array, options: dict[str, Any]) -> Sensitivity:
    from vcm_sweep.analysis.methods.morris import morris_effects

    names = [factor.name for factor in results.study.factors]
    groups = _ranked(results)[1]
    return morris_effects(u, y, names, groups=groups, seeds=results.study.design.seeds, **options)


def _shapley(results: "Results", u: Array, y: Array, options: dict[str, Any]) -> Sensitivity:
    from vcm_sweep.analysis.methods.shapley import shapley_effects

    names = [factor.name for factor in results.study.factors]
    return shapley_effects(u, y, names, seeds=results.study.design.seeds, **options)


def _bounded_shapley(results: "Results", u: Array, y: Array, options: dict[str, Any]) -> Sensitivity:
    from vcm_sweep.analysis.methods.bounded_shapley import bounded_shapley

    names = [factor.name for factor in results.study.factors]
    matrix = score_matrix(results.study.design.correlation, names)
    return bounded_shapley(u.reshape(-1, u.shape[2]), y.reshape(-1, y.shape[2]), names, matrix, **options)


def _given(method: str, results: "Results", u: Array, y: Array, options: dict[str, Any]) -> Sensitivity:
    from vcm_sweep.analysis.methods.bounded import bounded_indices
    from vcm_sweep.analysis.methods.delta import delta_indices
    from vcm_sweep.analysis.methods.hdmr import hdmr_indices
    from vcm_sweep.analysis.methods.pawn import pawn_indices
    from vcm_sweep.analysis.methods.rbd_fast import rbd_fast_indices

    functions: dict[str, Callable[..., Sensitivity]] = {
        "bounded": partial(bounded_indices, groups=_ranked(results)[1]),
        "hdmr": hdmr_indices,
        "pawn": pawn_indices,
        "delta": delta_indices,
        "rbd-fast": rbd_fast_indices,
    }
    block = np.repeat(np.arange(len(u)), u.shape[1]) if u.shape[1] > 1 else None
    return functions[method](
        u.reshape(-1, u.shape[2]),
        y.reshape(-1, y.shape[2]),
        [factor.name for factor in results.study.factors],
        blocks=block,
        seeds=results.study.design.seeds,
        **options,
    )


def _trainings(results: "Results") -> int:
    return results.study.design.trainings


def _ranked(results: "Results") -> tuple[list[str], dict[str, tuple[str, ...]] | None]:
    """The names of what the design changes in one step (factors or groups), and the factors of the groups, if any."""
    names = [factor.name for factor in results.study.factors]
    if results.study.design.groups:
        groups = results.study.design.grouped(names)
        return list(groups), groups
    return names, None


_METHODS: "dict[str, Callable[[Results, Array, Array, dict[str, Any]], Sensitivity]]" = {
    "sobol": _sobol,
    "morris": _morris,
    "shapley": _shapley,
    "bounded-shapley": _bounded_shapley,
    **{name: partial(_given, name) for name in GIVEN},
}
