"""What half of each factor's range would buy: how much the output rises, and how much less it varies."""

from vcm_sweep.analysis.asking.gains import gains
from vcm_sweep.analysis.report.content.material import Material
from vcm_sweep.analysis.report.content.parts import Section, Table


def halves(material: Material) -> Section | None:
    """Where records carry it: see `ask`."""
    response, quantity = material.response, material.quantity
    if response is None:
        return None
    rows = []
    for gain in gains(response, kinds=("lower half",)):
        place = next(one for one in gain.prediction.marginals.each if one.given)
        less = gain.prediction.less
        fall = quantity.cost(less) if less else ""
        rows.append([gain.factor, place.place(), quantity.cost(gain.prediction.gain), fall])
    if not rows:
        return None
    unit = f" ({quantity.unit})" if quantity.unit else ""
    columns = ["factor", "lower half", f"{quantity.label} rises by{unit}", f"its spread falls by{unit}"]
    title = "What half of each range would buy"
    return Section(
        title, "halves", [Table("halves", f"{title}, each by itself", columns, rows, frozenset(columns[1:]))]
    )
