"""How values of a metric are named and written: shares in per cent and points, all others as bare numbers."""

from vcm_sweep.analysis.records.metrics import as_metric
from vcm_sweep.analysis.results.index import Index


class Quantity:
    """The label of a metric, and how its values and their differences are written.

    >>> Quantity("accuracy").change(0.041), Quantity("loss").change(0.041), Quantity("p_diverged").label
    ('4.1 points', '0.041', 'P(diverged)')
    """

    def __init__(self, metric: str) -> None:
        self._metric = as_metric(metric)
        self.label, self.share = self._metric.label, self._metric.share
        #: What a difference is multiplied by to be read, and its unit.
        self.scale, self.unit = (100.0, "points") if self.share else (1.0, "")

    def value(self, number: float) -> str:
        """A value: 71.4 %, or 0.714."""
        return f"{100 * number:.1f} %" if self.share else f"{number:.4g}"

    def change(self, number: float) -> str:
        """A difference: 4.1 points, or 0.041."""
        return f"{100 * number:.1f} points" if self.share else f"{number:.3g}"

    def text(self, index: Index) -> str:
        """A value with its interval: 71 % [66, 76], or 0.714 [0.66, 0.76]."""
        return self._metric.text(index)

    def cost(self, index: Index) -> str:
        """A difference with its interval, without its unit: 4.1 [3.6, 4.6], in points for a share."""
        return self._metric.change(index).replace(" points", "")
