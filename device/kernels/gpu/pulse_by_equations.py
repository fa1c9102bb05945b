# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, check-untyped-defs=False
# mypy: disallow-incomplete-defs=False, disallow-untyped-decorators=False
"""The pulses of a batch on the listed cells of trials whose equations are solved, as cpu/lanes/pulses.py does it.

A lane is at one of a few stages of a pulse: it sets out, ends a stride, reads its cell. Each turn of the loop solves
the equations once for every lane, whatever stage that is at, so no lane waits for a solution that another one needs.
"""

from vcm_sweep.device.kernels.gpu.cells import keep_own, load_own, samples_of, take_sample, walk_on
from vcm_sweep.device.kernels.gpu.equations import kinetics
from vcm_sweep.device.kernels.gpu.euler import euler_way
from vcm_sweep.device.kernels.gpu.find import WORD
from vcm_sweep.device.kernels.gpu.random import CELLS, key_of_more, stream, truncated_normal
from vcm_sweep.device.kernels.gpu.solution import START_COLUMNS, solve
from vcm_sweep.device.kernels.gpu.strides import LONGEST, PIECE, along_cubic, next_edge, stride
from vcm_sweep.device.kernels.gpu.triton_or_none import tl, triton
from vcm_sweep.device.kernels.layout import F_RANGE, PARAMETERS, SHORTEST
from vcm_sweep.device.physics.constants import READ_VOLTAGE_V

# Where a lane is: it waits for a pulse; sets out; is at the end of a stride; in the middle of its way, for the power;
# reads whether the window's end was passed; looks for where that was; reads its weight.
_WAITS, _SETS_OUT, _STRIDES, _MIDDLE, _CHECKS, _SEEKS, _READS = map(tl.constexpr, range(7))
_F_RANGE, _SHORTEST, _READ_V = tl.constexpr(F_RANGE), tl.constexpr(SHORTEST), tl.constexpr(READ_VOLTAGE_V)
# Numbers of columns of StackEquations.layout and StackEquations.scalars (stack.py says what each holds).
PLACES, NUMBERS = tl.constexpr(11 + PARAMETERS), tl.constexpr(17 + PARAMETERS)


@triton.jit
def _renewed(state, target, base, target_of, begins, turned):
    """(random state, target of r or l) of the lanes that begin a pulse: new for each, or where the polarity turned."""
    sigma = tl.load(target_of)
    if sigma > 0.0:
        renews = begins & (turned | (begins.to(tl.float64) * 0.0 + tl.load(target_of + 2) == 0.0))
        state, z = truncated_normal(state, tl.load(target_of + 1) / sigma, renews)
        target = tl.where(renews, (base.to(tl.float64) * (1.0 + sigma * z)).to(tl.float32), target)
    return state, target


@triton.jit
def _towards(value, goal, part):
    """A parameter after a part of its way to a goal."""
    return value.to(tl.float64) + (goal - value.to(tl.float64)) * part


# See draw_lines for what is not specialised.
@triton.jit
def solve_pulses(
    x, d, streams, call, rows, columns, slots_of, listed, counts, firing, starts, places, numbers, walks, log_n, weight,
    base_n_max, base_n_min, base_r, base_l, walked_n_max, walked_n_min, walked_r, walked_l, varied, boosts, rates,
    lows, highs, w_lows, w_highs, targets, polarities, n_max_stride, n_min_stride, r_stride, l_stride, varied_stride,
    boost_stride, rate_stride, low_stride, high_stride, w_low_stride, w_high_stride, added, batch, inputs, outputs,
    groups, capacity, varied_rows,
    FULL: tl.constexpr, EXPLICIT: tl.constexpr, WALKING: tl.constexpr, SHAPED: tl.constexpr, OWN: tl.constexpr,
    MOVING: tl.constexpr, EULER: tl.constexpr, KIND: tl.constexpr, LANES: tl.constexpr,
):  # fmt: skip
    """One program per (trial, group of rows): applies the pulses of the whole batch to the listed cells."""
    program = tl.program_id(0).to(tl.int64)
    trial = program // groups
    cells = inputs * outputs
    x += trial * batch * inputs
    d += trial * batch * outputs
    rows += trial * batch * outputs
    columns += trial * batch * inputs
    slots_of += trial * batch
    lines = (rows, columns, slots_of, firing + program * ((batch + WORD - 1) // WORD), outputs, inputs)
    key = key_of_more(tl.load(streams + trial), tl.load(call))
    places += trial * PLACES
    numbers += trial * NUMBERS
    nominal, rows_of = numbers + 17, places + 11
    none = tl.zeros([LANES], tl.float64)
    need_ratio = tl.load(places + 6) != 0
    # For each lane, though all have the same: Triton's interpreter cannot combine one number with lanes.
    full = none + tl.load(places + 1) > 0.0
    reads_cell, own_window = none + tl.load(places + 2) > 0.0, none + tl.load(places + 3) > 0.0
    alone = none + tl.load(places + 4) > 0.0
    has_r, has_l = none + tl.load(numbers + 10) > 0.0, none + tl.load(numbers + 13) > 0.0
    moving = has_r | has_l
    steps = tl.load(places + 9).to(tl.int32)
    by_steps, kept = none + steps > 0.0, none + tl.load(places + 10) > 0.0
    nodes, varying = tl.load(places + 7).to(tl.int32), tl.load(places + 8)
    starts += trial * (3 * START_COLUMNS + 2) * nodes
    start = (starts, tl.load(numbers + 5), tl.load(numbers + 6), nodes, varying)
    bends = starts + 3 * START_COLUMNS * nodes
    v_set, v_reset = tl.load(numbers), tl.load(numbers + 1)
    dark, slope_of_weight, steepest = tl.load(numbers + 2), tl.load(numbers + 3), tl.load(numbers + 4)
    walk = walks + trial * 16
    sets, resets, energy, skipped, outside = none, none, none, none, none
    count = tl.where(tl.load(places) != 0, tl.load(counts + program), 0)
    for first in range(0, count, LANES):
        place = first + tl.arange(0, LANES)
        live = place < count
        cell = tl.load(listed + program * capacity + place, mask=live, other=0)
        row, column = cell // inputs, cell % inputs
        at_cell = trial * cells + cell
        state_x = tl.load(log_n + at_cell, mask=live, other=0.0)
        read = tl.load(weight + at_cell, mask=live, other=0.0)
        n_max = load_own(walked_n_max, trial, cell, cells, n_max_stride, live)
        n_min = load_own(walked_n_min, trial, cell, cells, n_min_stride, live)
        radius = load_own(walked_r, trial, cell, cells, r_stride, live)
        disc = load_own(walked_l, trial, cell, cells, l_stride, live)
        distance = 1 + (cells - 1) * varied_stride
        own_values = varied + trial * varied_rows * distance + cell * varied_stride
        if MOVING:
            at_target = trial * 2 * cells + cell
            target_r = tl.load(targets + at_target, mask=live, other=1.0)
            target_l = tl.load(targets + at_target + cells, mask=live, other=1.0)
            polarity = tl.load(polarities + at_cell, mask=live, other=0).to(tl.int32)
        up = live
        fresh = live
        stage = tl.zeros([LANES], tl.int32)
        turn = stage
        left, together = none, none
        before, time, bound, stop = state_x, none, none, none
        amplitude, width = none + 1.0, none + 1.0
        rate, slope, current, current_x = none, none, none, none
        barrier, barrier_x, at, edge, longest = none, none, none, none, none
        kinked = live
        power, lowest, highest, w_end = none, none, none, none
        r_now, l_now = radius.to(tl.float64), disc.to(tl.float64)
        r_edge, l_edge = r_now, l_now
        random = cell.to(tl.uint64)
        for word in range(0, batch, WORD):
            hits = samples_of(word, lines, row, column, live, KIND, LANES)
            # A cell that was pulsed is read after its last sample.
            last = none.to(tl.int32) + word + WORD >= batch
            busy = live
            while tl.max(busy.to(tl.int32), 0) > 0:
                waits = stage == _WAITS
                # Lanes that are done with a sample take the next one that pulses their cell.
                takes = waits & (left == 0.0) & (hits != 0)
                hits, left, up, sample_of = take_sample(takes, word, hits, left, up, x, d, lines, row, column, KIND)
                if WALKING or SHAPED or MOVING:
                    own_stream = stream(key, CELLS, sample_of.to(tl.int64) * cells + cell + 1)
                    random = tl.where(takes, own_stream, random)
                direction = tl.where(up, 1.0, -1.0).to(tl.float64)
                # A pulse begins, if the cell is short of where it stops.
                begins = waits & (left > 0.0)
                low = load_own(lows, trial, cell, cells, low_stride, live)
                high = load_own(highs, trial, cell, cells, high_stride, live)
                own_bound = tl.log(tl.where(up, n_max, n_min).to(tl.float64))
                own_stop = tl.where(up, tl.minimum(high, own_bound), tl.maximum(low, own_bound))
                if OWN:
                    w_low = load_own(w_lows, trial, cell, cells, w_low_stride, live)
                    w_high = load_own(w_highs, trial, cell, cells, w_high_stride, live)
                    w_end = tl.where(begins, tl.where(up, w_high, w_low).to(tl.float64), w_end)
                    past = own_window & ((w_end - read.to(tl.float64)) * direction <= 0.0)
                    own_stop = tl.where(past, state_x, own_stop)
                short = (own_stop - state_x) * direction > 0.0
                skips = begins & ~short
                skipped += tl.where(skips, left, 0.0)
                left = tl.where(skips, 0.0, left)
                begins = begins & short
                bound, stop = tl.where(begins, own_bound, bound), tl.where(begins, own_stop, stop)
                together = tl.where(begins, tl.where(alone, 1.0, left), together)
                if SHAPED:
                    clip = tl.load(numbers + 9)
                    if tl.load(numbers + 8) > 0.0:
                        random, z = truncated_normal(random, clip, begins)
                        width = tl.where(begins, z * tl.load(numbers + 8) + 1.0, width)
                    if tl.load(numbers + 7) > 0.0:
                        random, z = truncated_normal(random, clip, begins)
                        amplitude = tl.where(begins, z * tl.load(numbers + 7) + 1.0, amplitude)
                seconds = width * tl.load(numbers + 16)
                boost = load_own(boosts, trial, cell, cells, boost_stride, live).to(tl.float64)
                speed = load_own(rates, trial, cell, cells, rate_stride, live).to(tl.float64)
                speed = tl.where(up, speed / boost, speed * boost)
                lasts = seconds * together * speed
                time, before = tl.where(begins, lasts, time), tl.where(begins, state_x, before)
                longest = tl.where(begins, tl.where(moving, none + PIECE, none + LONGEST), longest)
                if MOVING:
                    turned = polarity != direction.to(tl.int32)
                    own = load_own(base_r, trial, cell, cells, r_stride, live)
                    random, target_r = _renewed(random, target_r, own, numbers + 10, begins, turned)
                    own = load_own(base_l, trial, cell, cells, l_stride, live)
                    random, target_l = _renewed(random, target_l, own, numbers + 13, begins, turned)
                    # A parameter without a target stays where it is.
                    to_r = tl.where(has_r, target_r, radius).to(tl.float64)
                    to_l = tl.where(has_l, target_l, disc).to(tl.float64)
                    polarity = tl.where(begins & moving, direction.to(tl.int32), polarity)
                stage = tl.where(begins, _SETS_OUT, stage)
                stage = tl.where(waits & ~begins & (left == 0.0) & (hits == 0) & ~fresh & last, _READS, stage)

                # The one solution of this turn.
                reads = stage >= _CHECKS
                strides = stage == _STRIDES
                middle = (before + state_x) * 0.5
                where = tl.where(strides, edge, tl.where(stage == _MIDDLE, middle, state_x))
                voltage = tl.where(up, v_set, v_reset) * amplitude
                which = tl.where(reads, 2, tl.where(up, 0, 1))
                r_here, l_here = radius.to(tl.float64), disc.to(tl.float64)
                if MOVING:
                    r_here, l_here = tl.where(strides, r_edge, r_now), tl.where(strides, l_edge, l_now)
                own_cell = (nominal, rows_of, own_values, distance, live & (reads_cell | ~reads), r_here, l_here)
                v = tl.where(reads, none + _READ_V, voltage)
                n, i, i_x, b, b_x = solve(
                    where,
                    v,
                    which,
                    tl.where(reads, 0.0, amplitude - 1.0),
                    own_cell,
                    start,
                    full,
                    stage != _WAITS,
                    FULL,
                    EXPLICIT,
                )
                new_rate, new_slope = kinetics(i, i_x, n, v, which == 0, full, own_cell)
                there = (new_rate == new_rate) | ((stage == _SETS_OUT) & by_steps)

                # Those that set out have gone a short way, or choose their first stride.
                sets_out = stage == _SETS_OUT
                bend_at = ((state_x - start[1]) * start[2] + 0.5).to(tl.int32)
                bend_at = tl.where(up, 0, nodes) + tl.minimum(tl.maximum(bend_at, 0), nodes - 1)
                way, is_short = stride(new_rate, new_slope * direction, tl.load(bends + bend_at), time)
                room = tl.minimum((stop - state_x) * direction, (bound - state_x) * direction - _F_RANGE)
                fits = sets_out & is_short & (way <= room) & (b * (b + b_x * direction * way) > 0.0) & ~moving
                first_of = sets_out & there
                rate, slope = tl.where(first_of, new_rate, rate), tl.where(first_of, new_slope, slope)
                current, current_x = tl.where(first_of, i, current), tl.where(first_of, i_x, current_x)
                barrier, barrier_x = tl.where(first_of, b, barrier), tl.where(first_of, b_x, barrier_x)
                at = tl.where(sets_out, state_x, at)
                landing = state_x + direction * way
                if EULER:
                    # Each with its bounds as they are now.
                    lowest_n = tl.maximum(tl.exp(low), n_min.to(tl.float64))
                    highest_n = tl.minimum(tl.exp(high), n_max.to(tl.float64))
                    stepped, mean_power = state_x, power
                    if tl.max((sets_out & by_steps).to(tl.int32), 0) > 0:
                        stepped, mean_power = euler_way(
                            state_x, up, time, voltage, tl.exp(bound), lowest_n, highest_n, steps, kept, own_cell
                        )
                    fits = (fits & ~by_steps) | (sets_out & by_steps)
                    landing = tl.where(by_steps, stepped, landing)
                state_x = tl.where(fits, landing, state_x)
                time = tl.where(fits, 0.0, time)
                # Those at the end of a stride go there, or as far as their time lasts.
                good = strides & there
                # The slope beyond a kink is no slope of the way up to it.
                gap = tl.where(good, edge - state_x, 1.0)
                end_slope = tl.where(kinked, (new_rate - rate) / gap * 2.0 - slope, new_slope)
                # ln of the rate is along ln N here, and its slope too.
                state_x, time, over = along_cubic(
                    good, state_x, direction, time, edge, stop, bound, (rate, slope), (new_rate, end_slope), moving
                )
                if MOVING:
                    n_before = tl.exp(before)
                    part = (tl.exp(state_x) - n_before) / tl.where(good | sets_out, tl.exp(bound) - n_before, 1.0)
                    moved = good & moving
                    r_now = tl.where(moved, _towards(radius, to_r, part), r_now)
                    l_now = tl.where(moved, _towards(disc, to_l, part), l_now)
                arrived = fits | (good & over)
                goes_on = good & ~over
                rate, slope = tl.where(goes_on, new_rate, rate), tl.where(goes_on, new_slope, slope)
                current, current_x = tl.where(goes_on, i, current), tl.where(goes_on, i_x, current_x)
                barrier, barrier_x = tl.where(goes_on, b, barrier), tl.where(goes_on, b_x, barrier_x)
                at = tl.where(goes_on, edge, at)
                # The model may end beyond what the pulse reaches.
                longest = tl.where(strides & ~there, longest * 0.5, longest)
                lost = (sets_out & ~there) | (strides & ~there & ((longest < _SHORTEST) | moving))
                outside += tl.where(lost, left, 0.0)
                skipped += tl.where(lost, left, 0.0)
                left, state_x = tl.where(lost, 0.0, left), tl.where(lost, before, state_x)
                chooses = (sets_out | strides) & ~lost & ~arrived
                next_at, next_kinked = next_edge(state_x, direction, longest, stop, barrier, barrier_x)
                if MOVING:
                    straight = state_x + direction * longest
                    straight = tl.where((stop - straight) * direction < 0.0, stop, straight)
                    next_at, next_kinked = tl.where(moving, straight, next_at), next_kinked & ~moving
                edge, kinked = tl.where(chooses, next_at, edge), (chooses & next_kinked) | (~chooses & kinked)
                if MOVING:
                    part = (tl.exp(edge) - n_before) / tl.where(chooses, tl.exp(bound) - n_before, 1.0)
                    r_edge, l_edge = _towards(radius, to_r, part), _towards(disc, to_l, part)
                    # Outside the model the pulse did not happen.
                    r_now, l_now = (
                        tl.where(lost, radius.to(tl.float64), r_now),
                        tl.where(lost, disc.to(tl.float64), l_now),
                    )
                stage = tl.where(lost, _WAITS, tl.where(chooses, _STRIDES, stage))

                # Those that have arrived look whether they passed the end of their window.
                middle = (before + state_x) * 0.5
                own_power = voltage * current * tl.exp(current_x * (middle - at))
                if EULER:
                    own_power = tl.where(by_steps, mean_power, own_power)
                # What is looked at later must be kept.
                power = tl.where(arrived, own_power, power) if OWN or MOVING else own_power
                done = arrived
                if MOVING:
                    power = tl.where(stage == _MIDDLE, voltage * i, power)
                    done = (stage == _MIDDLE) | (arrived & ~moving)
                    stage = tl.where(arrived & moving, _MIDDLE, stage)
                if OWN:
                    suspect = steepest * tl.abs(state_x - before) >= (w_end - read.to(tl.float64)) * direction
                    suspect = done & own_window & suspect
                    gap = dark + slope_of_weight * i - w_end
                    checks, seeks = stage == _CHECKS, stage == _SEEKS
                    beyond = checks & (gap * direction > 0.0)
                    lowest = tl.where(beyond, tl.minimum(before, state_x), lowest)
                    highest = tl.where(beyond, tl.maximum(before, state_x), highest)
                    turn = tl.where(beyond, 0, turn + 1)
                    seeks = seeks | beyond
                    highest = tl.where(seeks & (gap > 0.0), state_x, highest)
                    lowest = tl.where(seeks & ~(gap > 0.0), state_x, lowest)
                    narrow = highest - lowest <= 1e-13
                    closer = state_x - gap / (slope_of_weight * i * i_x)
                    found = (lowest <= closer) & (closer <= highest) & (tl.abs(closer - state_x) <= 1e-7)
                    halves = ~found & ((closer <= lowest) | (closer >= highest) | (turn % 6 == 5))
                    closer = tl.where(halves, (lowest + highest) * 0.5, closer)
                    state_x = tl.where(seeks & ~narrow, closer, state_x)
                    found = seeks & (narrow | found)
                    stage = tl.where(suspect, _CHECKS, tl.where(seeks & ~found, _SEEKS, stage))
                    done = (done & ~suspect) | (checks & ~beyond) | found

                # The pulse is over.
                spared = (together * time / tl.where(done, lasts, 1.0)).to(tl.int32).to(tl.float64)
                # The pulse that arrives counts, however short its way is.
                spared = tl.maximum(tl.minimum(spared, together - 1.0), 0.0)
                fired = tl.where(done, together - spared, 0.0)
                sets += tl.where(up, fired, 0.0)
                resets += tl.where(up, 0.0, fired)
                skipped += tl.where(done, spared, 0.0)
                # Of the other lanes the power may be no number.
                energy += tl.where(done, power * seconds * fired, 0.0)
                left = tl.where(done, left - together, left)
                if MOVING:
                    radius = tl.where(done & has_r, r_now.to(tl.float32), radius)
                    disc = tl.where(done & has_l, l_now.to(tl.float32), disc)
                if WALKING:
                    ratio = none
                    if need_ratio:
                        n_start = tl.exp(before)
                        covered = (tl.exp(state_x) - n_start) / tl.where(done, tl.exp(bound) - n_start, 1.0)
                        ratio = tl.where(done, covered, 0.0)
                    own = load_own(base_n_max, trial, cell, cells, n_max_stride, live)
                    random, n_max = walk_on(random, n_max, own, walk, ratio, done)
                    own = load_own(base_n_min, trial, cell, cells, n_min_stride, live)
                    random, n_min = walk_on(random, n_min, own, walk + 4, ratio, done)
                    own = load_own(base_r, trial, cell, cells, r_stride, live)
                    random, radius = walk_on(random, radius, own, walk + 8, ratio, done)
                    own = load_own(base_l, trial, cell, cells, l_stride, live)
                    random, disc = walk_on(random, disc, own, walk + 12, ratio, done)
                if MOVING:
                    r_now = tl.where(done, radius.to(tl.float64), r_now)
                    l_now = tl.where(done, disc.to(tl.float64), l_now)
                is_read = stage == _READS
                stage = tl.where(done, tl.where(own_window, _READS, _WAITS), tl.where(is_read, _WAITS, stage))
                read = tl.where(is_read, (dark + slope_of_weight * i).to(tl.float32), read)
                fresh = (fresh & ~done) | is_read
                busy = busy & ((stage != _WAITS) | (left > 0.0) | (hits != 0) | (~fresh & last))
        tl.store(log_n + at_cell, state_x, mask=live)
        tl.store(weight + at_cell, read, mask=live)
        if WALKING or MOVING:
            keep_own(walked_n_max, trial, cell, cells, n_max_stride, live, n_max)
            keep_own(walked_n_min, trial, cell, cells, n_min_stride, live, n_min)
            keep_own(walked_r, trial, cell, cells, r_stride, live, radius)
            keep_own(walked_l, trial, cell, cells, l_stride, live, disc)
        if MOVING:
            tl.store(targets + at_target, target_r, mask=live)
            tl.store(targets + at_target + cells, target_l, mask=live)
            tl.store(polarities + at_cell, polarity.to(tl.int8), mask=live)
    added += program * 5
    tl.store(added, tl.sum(sets, 0))
    tl.store(added + 1, tl.sum(resets, 0))
    tl.store(added + 2, tl.sum(energy, 0))
    tl.store(added + 3, tl.sum(skipped, 0))
    tl.store(added + 4, tl.sum(outside, 0))
