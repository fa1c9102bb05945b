"""``vcm-sweep plan``: how large a study is and what it will cost, as values and in words."""

import dataclasses
from collections.abc import Iterator
from typing import Any

from vcm_sweep.cluster.options import Place, RunOptions
from vcm_sweep.cluster.ray_executor.resources import PackNeeds
from vcm_sweep.cluster.running.packs import pack_of
from vcm_sweep.cluster.running.places import cautions_of, checked_data, executor_of, places_of, settings_of
from vcm_sweep.cluster.running.run_study import with_run_options
from vcm_sweep.cluster.terminal.words import duration
from vcm_sweep.device.errors import VcmSweepError
from vcm_sweep.sweep.designs.build import checked_design
from vcm_sweep.sweep.errors import StudyError
from vcm_sweep.sweep.packs.costs import CostModel
from vcm_sweep.sweep.packs.order import MIN_PILOT
from vcm_sweep.sweep.running.planning import Plan, check_failure_rate, plan
from vcm_sweep.sweep.running.running import default_directory
from vcm_sweep.sweep.study.study import Study

# With this many finished trials in the folder, their records give the costs, and no pilot is run.
_ENOUGH_RECORDS = 4 * MIN_PILOT


@dataclasses.dataclass(frozen=True)
class _Costs:
    """The costs of trials, in words what they were learned from, and of the pilot's packs: bytes, and the rows at
    chance level if all are."""

    model: CostModel
    source: str
    pack_bytes: float | None = None
    at_chance: int = 0


def planned(
    study: Study, options: RunOptions, pilot_s: float | None, failure_rate: float
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The plan of a study as (plain values for programs, words for people).

    Args:
        study: the study that would be run. options: how it would be run.
        pilot_s: seconds of the pilot, beyond its least eight rows; None: no pilot, and no costs.
        failure_rate: share of the trainings that are expected to fail.
    """
    from vcm_sweep.sweep.data.sets import is_at_hand
    from vcm_sweep.sweep.packs.order import unlike
    from vcm_sweep.sweep.study.cautions import steps_in_words
    from vcm_sweep.sweep.study.corners import rates_in_words
    from vcm_sweep.sweep.study.operating_point import fastest_corners
    from vcm_sweep.sweep.training.stackable import splitting

    rate = check_failure_rate(failure_rate)
    if pilot_s is not None and not pilot_s > 0:
        raise StudyError(f"--pilot-s {pilot_s:g} must be more than 0 seconds")
    study = with_run_options(study, options)
    checked_design(study)  # before sizes of packs are tried
    directory = options.out or default_directory(study)
    settings = settings_of(options.place, study)
    at_hand = pilot_s is not None or is_at_hand(study.network.data, settings.data_dir)
    data = checked_data(options.place, study, settings) if at_hand else None
    # The pack size that run would choose with these options; it depends on how many packs run at the same time.
    pack = study.run.pack if pilot_s is None else pack_of(study, settings, options.place)
    size = plan(study, directory, pack)
    design, lost = size.order.design, size.lost_share(rate)
    rates = dict.fromkeys(rates_in_words(setting.device, setting.factors) for setting in study.settings)
    values: dict[str, Any] = {
        "study": study.name,
        "method": design.method,
        "folder": str(directory),
        "rates": "; ".join(rates),
        "points": size.points,
        "trials": size.trials,
        "done": size.done,
        "trials_per_pack": pack or None,
        "packs_to_run": size.packs if pack else None,
        "blocks_lost": lost,
    }
    made_of = f" ({study.design.n} {design.unit} of {design.block} rows)" if design.block > 1 else ""
    once_more = f", and {len(design.repeated)} of them once more" if len(design.repeated) else ""
    words = values | {
        "study": f"{study.name}: {_asked(study)}",
        "points": f"{size.points}{made_of}",
        "trials": f"{size.trials} (every point {_times(study.design.replicates)}{once_more})",
        "trials_per_pack": pack or "chosen by run",
        "packs_to_run": size.packs if pack else "chosen by run",
        "blocks_lost": f"{100 * lost:.1f} % of the {design.unit}, if {100 * rate:g} % of the trainings fail",
    }
    del words["method"]
    if by := splitting(study.factors):
        values["packs_split_by"] = by
        words["packs_split_by"] = f"{', '.join(by)}: the trials of a pack are stacked, and have one value of each"
    if study.conditions and (apart := [study.conditions[point].name for point in unlike(design)]):
        values["packs_of_their_own"] = apart
        words["packs_of_their_own"] = f"{', '.join(apart)}: cannot be stacked with {study.conditions[0].name}"
    if fastest := fastest_corners(study.device, study.factors):
        values["pulses_per_window"] = {way.direction: [way.pulses, way.most] for way in fastest}
        spans = ", ".join(f"{way.direction} {way.pulses:.3g} to {way.most:.3g}" for way in fastest)
        words["pulses_per_window"] = f"{spans}, through 90 % of the nominal cell's, at the corners of the ranges"
    if steps := steps_in_words(study.settings):
        words["one_pulse"] = values["one_pulse"] = steps
    if found := cautions_of(options.place, study, data):
        values["beware"] = list(found)
        words["beware"] = "; ".join(found)
    outlook = _outlook(study, directory, size.points)
    values |= outlook
    words |= outlook
    if pilot_s is not None and size.order.left:
        costs = _learned(size) or _measured(study, options.place, settings, size, pilot_s)
        _add_costs(values, words, size, costs, options.place)
    return values, words


def _outlook(study: Study, directory: Any, rows: int) -> dict[str, str]:
    """What is to be said of the study's size, by the trainings of its folder or of earlier versions of it."""
    from vcm_sweep.analysis.studies.allocation import replicates_advice
    from vcm_sweep.analysis.studies.forecast import Width, assumed

    if why := study.design.no_verdict():
        return {"verdict": f"none: {why}"}
    if study.design.method not in ("space", "sobol"):
        return {}
    earlier = next(_earlier(study, directory), None)
    if study.design.method == "space":
        if earlier is None:
            return {"for_5_points": assumed(0.05)}
        folder, result, design = earlier
        return {"for_5_points": f"{Width.widest(result, design).words(0.05)}; from the records of {folder}"}
    advice = replicates_advice(earlier[1], rows) if earlier else ""
    return {"replicates_advice": advice} if advice else {}


def _earlier(study: Study, directory: Any) -> Iterator[tuple[Any, Any, Any]]:
    """(folder, its indices, its design) of those whose trainings tell of this study, its own folder first."""
    from vcm_sweep.analysis import analyze
    from vcm_sweep.analysis.studies.analysis import own_methods
    from vcm_sweep.sweep.folder import Folder
    from vcm_sweep.sweep.running.reuse import siblings
    from vcm_sweep.sweep.store import holds_study
    from vcm_sweep.sweep.store.results import open_results

    folder = Folder(directory)
    for earlier in [*([folder] if holds_study(folder) else []), *siblings(folder, study.name)]:
        try:
            results = open_results(earlier)
            held = results.study
            if (held.factors, held.design.method) == (study.factors, study.design.method):
                own = own_methods(held.design)[-1]
                yield earlier, analyze(results, method=own, policy="drop-block", resamples=200), held.design
        except VcmSweepError:
            continue


def _learned(size: Plan) -> _Costs | None:
    """Costs from the finished trials of the folder; None if there are too few."""
    rows = size.order.costs.rows
    return _Costs(size.order.costs, f"{rows} finished trials of the folder") if rows >= _ENOUGH_RECORDS else None


def _measured(study: Study, place: Place, settings: Any, size: Plan, pilot_s: float) -> _Costs:
    """Costs from a pilot."""
    from vcm_sweep.cluster.running.pilot import learned, pilot

    measured = pilot(
        size.order.design, lambda task: executor_of(place, study, settings, task), settings, size.order.size, pilot_s
    )
    if not measured.points:
        raise StudyError(
            f"all {measured.failed} rows of the pilot failed: vcm-sweep run of this study records why; --no-pilot "
            "leaves the pilot out"
        )
    epochs = measured.share * study.network.epochs
    part = "" if measured.share == 1 else f", extrapolated from {100 * epochs:.2g} % of an epoch"
    failed = f", {measured.failed} more failed" if measured.failed else ""
    source = f"a pilot of {len(measured.points)} rows, corners first{part}{failed}"
    low = measured.at_chance if measured.at_chance == len(measured.points) else 0
    return _Costs(learned(size.order.design, measured), source, measured.memory_bytes, low)


def _add_costs(values: dict[str, Any], words: dict[str, Any], size: Plan, costs: _Costs, place: Place) -> None:
    size.order.costs = costs.model
    size.order.sort()
    scaled = size.order.left_scaled()
    median, high = costs.model.quantiles(scaled, (0.5, 0.95))
    total = costs.model.total(scaled)
    workers = places_of(place, PackNeeds.of(size.order.design.study.run, place.device))
    wall = size.wall_s(workers)
    kind = "gpu" if place.device == "cuda" else "core"
    hours = dataclasses.astuple(total)
    values |= {
        "trial_s_median": median,
        "trial_s_p95": high,
        f"{kind}_hours": hours[0] / 3600,
        f"{kind}_hours_interval": [hours[1] / 3600, hours[2] / 3600],
        "workers": workers,
        "wall_hours": wall / 3600,
        "cost_from": costs.source,
    }
    share = wall / total.seconds if total.seconds else 0.0
    words |= {
        "time_per_trial": f"{duration(median)} median, {duration(high)} 95th percentile "
        f"({kind} time, in a pack of its like)",
        f"{kind}_time_to_run": f"{duration(hours[0])}, 95 % interval {duration(hours[1])} to {duration(hours[2])}",
        "wall_time_to_run": f"{duration(wall)} on {workers} worker{'s' if workers > 1 else ''} "
        f"({duration(share * hours[1])} to {duration(share * hours[2])})",
        "cost_from": costs.source,
    }
    if costs.at_chance:
        why = (
            f"all {costs.at_chance} rows of the pilot ended at chance level, so the study would rank nothing: train "
            "longer, or look at lr, init, dw_min and the pulses, and narrow the ranges if the nominal device trains"
        )
        values["at_chance"] = words["at_chance"] = why
    if costs.pack_bytes is not None:
        values["pack_bytes"] = costs.pack_bytes
        words["memory_per_pack"] = f"{costs.pack_bytes / 2**20:.3g} MiB, estimated"


def _asked(study: Study) -> str:
    if study.conditions:
        return f"{len(study.conditions)} conditions, {study.design.baseline} the baseline"
    count = len(study.factors)
    return f"{count} {'factor' if count == 1 else 'factors'}, {study.design.method}, n = {study.design.n}"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
