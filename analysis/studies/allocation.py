"""Advice on how to spend trainings: run every row twice, or more rows once and only some of them twice."""

from vcm_sweep.analysis.results.sensitivity import Sensitivity

# Measured: the spread of total indices with an eighth of the rows run twice, divided by that with every row run twice,
# at an equal number of trainings. It is 0.6 to 0.75 where luck is up to 0.2, 0.6 to 0.83 at 0.3, 0.63 to 0.97 at 0.4,
# and 0.87 to 1.26 at 0.5 (docs/statistics.md). Below the first number pairs on some rows are advised, above the second
# every row twice.
_FEW_PAIRS, _ALL_TWICE = 0.3, 0.45


def replicates_advice(result: Sensitivity, rows: int) -> str:
    """A sentence on how to replicate a design with ``rows`` rows, based on the luck that a similar study has shown.

    "" where the interval of the luck leaves both choices open, where luck was not measured, or where seeds are common.
    """
    luck = result.luck
    if not result.corrected or not luck.high >= luck.low:
        return ""
    said = f"the luck of a training is {luck.percent()}"
    if luck.high < _FEW_PAIRS:
        eighth = max(8, rows // 8)
        return (
            f"{said}: one run of every point and replicate_rows = {eighth} give the strongest factors narrower "
            "intervals than as many trainings in pairs, and inert ones up to 1.6 times wider ones"
        )
    if luck.low > _ALL_TWICE:
        return f"{said}: run every point twice (replicates = 2); pairs of some rows would not do"
    return ""
