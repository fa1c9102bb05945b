"""How to spend trainings: every row twice, or more rows and pairs on some of them."""

from vcm_sweep.analysis.results.sensitivity import Sensitivity

# Spread of total indices with pairs on an eighth of the rows, against every row twice, at equal trainings: 0.6 to 0.75
# up to a fifth of luck, 0.6 to 0.83 at 0.3, 0.63 to 0.97 at 0.4, 0.87 to 1.26 at half (docs/statistics.md).
_FEW_PAIRS, _ALL_TWICE = 0.3, 0.45


def replicates_advice(result: Sensitivity, rows: int) -> str:
    """A sentence on the replicates of a design of so many rows, by the luck that a study like it has shown.

    "" where its interval leaves both open, where nothing was measured, or where seeds are common.
    """
    luck = result.luck
    if not result.corrected or not luck.high >= luck.low:
        return ""
    said = f"the luck of a training is {luck.percent()}"
    if luck.high < _FEW_PAIRS:
        eighth = max(8, rows // 8)
        return f"{said}: one run of every point and replicate_rows = {eighth} tell more than as many trainings in pairs"
    if luck.low > _ALL_TWICE:
        return f"{said}: run every point twice (replicates = 2); pairs of some rows would not do"
    return ""
