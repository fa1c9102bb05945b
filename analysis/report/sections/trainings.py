"""The trainings themselves: the values of the output, and accuracy by epoch."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from vcm_sweep.analysis.plots.histogram import histogram
from vcm_sweep.analysis.plots.quantiles import QUANTILES, quantile_band
from vcm_sweep.analysis.records.metrics import Output
from vcm_sweep.analysis.report.content.material import Material
from vcm_sweep.analysis.report.content.parts import Chart, Charts, Part, Section, Text
from vcm_sweep.analysis.report.content.quantity import Quantity


def trainings(material: Material) -> Section:
    """A histogram of the output and the training curves by quantile."""
    return all_trainings(material.results.table(), material.output, material.quantity)


def all_trainings(table: pa.Table, output: Output, quantity: Quantity) -> Section:
    """The same of any records; output: their values of the quantity."""
    values = output.y[np.isfinite(output.y)]
    at_chance = pc.sum(pc.fill_null(table["at_chance"], False)).as_py() or 0
    charts = []
    if values.size:
        q10, q50, q90 = np.quantile(values, [0.1, 0.5, 0.9])
        charts.append(
            Chart(
                "histogram",
                histogram(values, quantity.label, share=quantity.share),
                f"Histogram of {quantity.label} over {values.size} trainings: 10 % below {q10:.3g}, median {q50:.3g}, "
                f"10 % above {q90:.3g}",
                f"{quantity.label[:1].upper()}{quantity.label[1:]} of all trainings.",
            )
        )
    bands = history_quantiles(table["history"])
    if bands is not None:
        charts.append(
            Chart(
                "training-curves",
                quantile_band(bands, "epoch", "accuracy", share=True),
                f"Accuracy by epoch over {table.num_rows} trainings: median {bands[2, 0]:.3g} after the first, "
                f"{bands[2, -1]:.3g} at the end",
                "Accuracy by epoch: median, middle half and middle 90 % of the trainings.",
            )
        )
    counts = pc.value_counts(table["status"]).to_pylist()
    statuses = sorted(((int(c["counts"]), str(c["values"])) for c in counts), reverse=True)
    words = ", ".join(f"{count} {status}" for count, status in statuses)
    parts: list[Part] = [Charts(charts), Text(f"By status: {words}. {at_chance} ended at chance level.")]
    return Section("The trainings", "trainings", parts)


def history_quantiles(histories: pa.ChunkedArray) -> NDArray[np.float64] | None:
    """(5, epochs) quantiles of a column of lists, at each epoch over the rows that reached it; None if all lack it."""
    lists = histories.combine_chunks()
    if isinstance(lists, pa.ChunkedArray):
        lists = pa.concat_arrays(lists.chunks)
    lengths = np.asarray(pc.fill_null(pc.list_value_length(lists), 0))
    if not lengths.size or not lengths.max():
        return None
    values = np.asarray(pc.cast(lists.flatten(), pa.float64()))
    row = np.repeat(np.arange(lengths.size), lengths)
    epoch = np.arange(values.size) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    laid_out = np.full((lengths.size, int(lengths.max())), np.nan)
    laid_out[row, epoch] = values
    keep = np.isfinite(laid_out).any(axis=0)
    return np.asarray(np.nanquantile(laid_out[:, keep], QUANTILES, axis=0)) if keep.any() else None
