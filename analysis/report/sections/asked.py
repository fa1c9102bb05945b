"""The records asked: sliders of the factors' values and ranges, and the mean that is predicted where they stand."""

import shlex

from vcm_sweep.analysis.asking.portable import portable
from vcm_sweep.analysis.report.content.material import Material
from vcm_sweep.analysis.report.content.parts import Asking, Section, Text


def asked(material: Material) -> Section | None:
    """Where records carry it: see `ask`."""
    label, command = material.quantity.label, shlex.join(["vcm-sweep", "ask", material.folder])
    title = "Ask the records"
    if material.too_many:
        note = f"The points are too many for a page that answers by itself: {command} does, without a training."
        return Section(title, "ask", [Text(note, soft=True)])
    if material.response is None:
        return None
    note = (
        f"The mean {label} where factors keep other ranges, or one value, as the trainings that are there tell it; "
        f"{command} says more, without a training."
    )
    return Section(title, "ask", [Text(note, soft=True), Asking(portable(material.response), label)])
