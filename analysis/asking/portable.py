"""A response as plain numbers, for a page that answers by itself: templates/ask.js of the report evaluates them."""

import base64
from typing import Any

import numpy as np
from scipy import stats

from vcm_sweep.analysis.asking.prediction import root_missed
from vcm_sweep.analysis.asking.response import Response
from vcm_sweep.analysis.asking.reweighting import BLOCKS, POINTS, REPLICATED
from vcm_sweep.analysis.records.metrics import as_metric
from vcm_sweep.analysis.surrogates.expansion import FEATURE_NODES, FEATURE_WEIGHTS
from vcm_sweep.analysis.surrogates.legendre import DEGREE
from vcm_sweep.sweep.study.distributions import Distribution, Levels

# Enough for 1e-8 of a share, and 200 kB for a thousand terms of eight folds.
_DIGITS = 9


# Values of a factor at as many steps of probability as its slider has.
_STEPS = 100


def portable(response: Response) -> dict[str, Any]:
    """What `predict` needs for the mean at any setting, and over ranges of the factors as they were sampled.

    Coordinates of points are whole numbers up to 65,535 within the ranges, in base64; all else is as in `Response`.
    """
    expansion, metric = response.expansion, as_metric(response.metric)
    size = float(np.abs(expansion.coefficients).max())
    digits = _DIGITS - int(np.floor(np.log10(size))) if size > 0.0 else _DIGITS
    coordinates = np.round(65535.0 * response.points.u.reshape(-1, len(response.factors))).astype("<u2")
    return {
        "label": metric.label,
        "share": metric.share,
        "factors": [
            {"name": factor.name, "unit": factor.unit, "ordered": factor.law.ordered, **_values(factor.law)}
            for factor in response.factors
        ],
        "terms": [[int(v) for j in np.flatnonzero(term) for v in (j, term[j])] for term in expansion.degrees],
        "coefficients": [[round(float(v), digits) for v in fold] for fold in expansion.coefficients],
        "origin": response.points.origin,
        "quantile": float(stats.norm.ppf(0.5 + response.confidence / 2.0)),
        "missed": root_missed(response),
        "nodes": FEATURE_NODES.tolist(),
        "weights": FEATURE_WEIGHTS.tolist(),
        "degree": DEGREE,
        "block": response.fold.shape[1],
        "fold": "".join(map(str, response.fold.ravel())),
        "twice": "".join("1" if known else "0" for known in np.isfinite(response.s2).ravel()),
        "u": base64.b64encode(coordinates.tobytes()).decode(),
        "residual": [round(float(v), digits - 2) for v in response.residual.ravel()],
        "least": {"points": POINTS, "blocks": BLOCKS, "twice": REPLICATED},
    }  # fmt: skip


def _values(law: Distribution) -> dict[str, list[float] | list[str]]:
    """The values at the steps of a slider, to as many digits as it shows, and more.

    Of a list that a slider can show all values, as people read them, with the cumulative probabilities between which
    each lies.
    """
    if isinstance(law, Levels) and (len(law.values) <= _STEPS or not law.ordered):
        return {"values": [law.text(value) for value in law.values], "edges": law.edges.tolist()}
    return {"values": [float(f"{value:.4g}") for value in law.ppf(np.arange(_STEPS + 1) / _STEPS)]}
