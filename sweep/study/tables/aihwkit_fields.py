"""[device.io], [device.update] and [device.mapping]: those of aihwkit's settings that a study may give.

A setting that is not given keeps aihwkit's own default, so no defaults are declared here for [device.io] and
[device.update].
"""

import math
from collections.abc import Mapping
from typing import Any

from vcm_sweep.device.declared import Declared
from vcm_sweep.sweep.errors import StudyError
from vcm_sweep.sweep.study.tables.fields import Fields


def _number(meaning: str, high: float = 1e9) -> Declared:
    return Declared("number", meaning, low=0, high=high)


def _word(meaning: str, *words: str) -> Declared:
    return Declared("word", meaning, words=words)


def _flag(meaning: str) -> Declared:
    return Declared("flag", meaning)


def _bits(converter: str, instead_of: str) -> Declared:
    meaning = f"bits b of the {converter} converter, which has 2^b - 2 steps; in place of {instead_of}"
    return Declared("whole", meaning, low=2, high=24, unit="bit")


IO: Mapping[str, Declared] = {
    "inp_bound": _number("inputs are cut at +- this"),
    "inp_noise": _number("standard deviation of the noise of each input"),
    "inp_res": _number("step of the digital-to-analog converter as a share of its range, or the number of steps"),
    "inp_bits": _bits("digital-to-analog", "inp_res"),
    "inp_asymmetry": _number("scale of negative inputs is smaller by this share, in two-pass reads"),
    "out_bound": _number("outputs are cut at +- this"),
    "out_noise": _number("standard deviation of the noise of each output"),
    "out_res": _number("step of the analog-to-digital converter as a share of its range, or the number of steps"),
    "out_bits": _bits("analog-to-digital", "out_res"),
    "out_scale": _number("factor on the outputs"),
    "out_asymmetry": _number("scale of negative outputs is smaller by this share"),
    "w_noise": _number("standard deviation of the noise of weights at each read"),
    "max_bm_factor": _number("largest factor of the iterative bound management"),
    "max_bm_res": _number("bound management ends where the input's step would be this large"),
    "nm_thres": _number("largest scale of the noise management, 0 is none; of CONSTANT, the scale"),
    "mv_type": _word(
        "how signed inputs are read: at once, or the positive and the negative ones apart",
        "ONE_PASS",
        "POS_NEG_SEPARATE",
        "POS_NEG_SEPARATE_DIGITAL_SUM",
    ),
    "bound_management": _word(
        "reads that come to out_bound are done again with smaller inputs", "NONE", "ITERATIVE", "ITERATIVE_WORST_CASE"
    ),
    "noise_management": _word(
        "what inputs are scaled by before a read", "NONE", "ABS_MAX", "ABS_MAX_NP_SUM", "MAX", "CONSTANT"
    ),
    "w_noise_type": _word("noise of weights at each read", "NONE", "ADDITIVE_CONSTANT", "PCM_READ"),
    "is_perfect": _flag("reads are exact products, without anything of this table"),
    "inp_sto_round": _flag("inputs are rounded by chance"),
    "out_sto_round": _flag("outputs are rounded by chance"),
}
"""[device.io], in both directions."""

BITS = {"inp_bits": "inp_res", "out_bits": "out_res"}
"""Fields of [device.io] that give a converter's bits, and the field with its step in the canonical table."""

UPDATE: Mapping[str, Declared] = {
    "res": _number("step of the probabilities of pulses, 0 is none", 1),
    "x_res_implicit": _number("step of the inputs, of DETERMINISTIC_IMPLICIT", 1),
    "d_res_implicit": _number("step of the errors, of DETERMINISTIC_IMPLICIT", 1),
    "pulse_type": _word(
        "how inputs and errors become pulses",
        "STOCHASTIC_COMPRESSED",
        "STOCHASTIC",
        "DETERMINISTIC_IMPLICIT",
        "MEAN_COUNT",
        "NONE",
        "NONE_WITH_DEVICE",
    ),
    "fixed_bl": _flag("all pulse trains have desired_bl pulses"),
    "update_bl_management": _flag("the length of a pulse train follows the size of the update"),
    "update_management": _flag("inputs and errors are scaled to the same probability of pulses"),
    "desired_bl": Declared("whole", "pulses of a train, at most", low=1, high=1_000_000),
}
"""[device.update]."""

MAPPING: Mapping[str, Declared] = {
    "max_input_size": Declared("whole", "inputs of a tile at most, 0 is all", 0, 0, 1 << 30),
    "max_output_size": Declared("whole", "outputs of a tile at most, 0 is all", 0, 0, 1 << 30),
}
"""[device.mapping]: how a layer is cut into tiles."""


def converter_step(bits: float) -> float:
    """The step of a converter, as a share of its range: one level is 0, and as many lie on either side.

    >>> 1 / converter_step(7)  # aihwkit's default of inp_res
    126.0
    """
    return float(1 / (2.0**bits - 2))


def converter_bits(step: float) -> float:
    """The bits that give a converter's step, which may be written as a number of steps; infinite for a step of 0.

    >>> converter_bits(converter_step(7)), converter_bits(126), converter_bits(0.0)
    (7.0, 7.0, inf)
    """
    if step <= 0:
        return math.inf
    return math.log2((step if step > 1 else 1 / step) + 2)


def aihwkit_default(table: str, field: str) -> Any:
    """What aihwkit has for a field of [device.io] or [device.update] that a study does not give; a word as its name.

    >>> aihwkit_default("io", "out_noise"), aihwkit_default("update", "pulse_type")
    (0.06, 'STOCHASTIC_COMPRESSED')
    """
    from aihwkit.simulator.parameters.io import IOParameters
    from aihwkit.simulator.parameters.training import UpdateParameters

    value = getattr(IOParameters() if table == "io" else UpdateParameters(), field)
    return getattr(value, "name", value)


def canonical_layer(fields: Fields) -> dict[str, Any]:
    """The given fields of io, update and mapping, read from [device]; without mapping if that table is not given."""
    plain = {"io": _io(fields.table("io")), "update": _given(fields.table("update"), "update", UPDATE)}
    mapping = fields.table("mapping")
    return plain | ({"mapping": _given(mapping, "mapping", MAPPING)} if mapping else {})


def _io(table: dict[str, Any]) -> dict[str, Any]:
    plain = _given(table, "io", IO)
    for bits, step in BITS.items():
        if bits in plain:
            if step in plain:
                raise StudyError(f"[device.io] {bits} and {step} both give a converter's step: keep one")
            plain[step] = converter_step(plain.pop(bits))
    return plain


def _given(table: dict[str, Any], name: str, declarations: Mapping[str, Declared]) -> dict[str, Any]:
    fields = Fields(table, f"device.{name}")
    plain = {key: value for key, value in fields.all(declarations).items() if value is not None}
    fields.finish()
    return plain
