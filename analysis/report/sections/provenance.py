"""How the results were made: study, seeds, versions, hardware, hours, energy."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vcm_sweep.analysis.report.content.material import Material
from vcm_sweep.analysis.report.content.parts import Code, Items, Section

if TYPE_CHECKING:
    from vcm_sweep.sweep.store.results import Results


def provenance(material: Material) -> Section:
    """What another person needs to repeat the study, and what it cost."""
    result = material.result
    how = (
        f"Method {result.method} on a {material.method} design, {result.units} {result.unit}, "
        f"{result.replicated_rows} points trained more than once; {result.resamples} bootstrap resamples."
    )
    return made(material.results, (how, *result.notes()))


def made(results: "Results", how: Sequence[str]) -> Section:
    """Seeds, hours, energy, hosts, versions, how it was analysed, and the study file."""
    study, table = results.study, results.table()
    words = [f"Seeds: {study.design.seeds}.", _cost(table), *_energy(table)]
    if "node" in table.column_names:
        counts = pc.value_counts(table["node"].drop_null()).to_pylist()
        nodes = ", ".join(f"{c['values']} ({c['counts']} trainings)" for c in counts)
        words += [f"Trained on {nodes}."] if nodes else []
    words.append(f"Model version {', '.join(sorted({str(v.as_py()) for v in pc.unique(table['model_version'])}))}.")
    words.append(f"{versions(table) or 'No versions recorded'}.")
    return Section("How it was made", "provenance", [Items([*words, *how]), Code(study.text, "the study file")])


def _cost(table: pa.Table) -> str:
    wall = np.asarray(pc.cast(table["wall_s"].drop_null(), pa.float64()))
    if not wall.size:
        return f"{table.num_rows} trainings."
    whole = duration(float(wall.sum()))
    return f"{table.num_rows} trainings, {np.median(wall):.3g} s each in the median ({whole} in all)."


def _energy(table: pa.Table) -> list[str]:
    """The programming energy of the simulated cells, which is not the computer's."""
    if "energy_j" not in table.column_names:
        return []
    energy = np.asarray(pc.cast(table["energy_j"].drop_null(), pa.float64()))
    if not energy.size:
        return []
    low, middle, high = np.quantile(energy, [0.05, 0.5, 0.95])
    return [
        f"Programming pulses of a simulated training take {middle:.3g} J in the median, 90 % {low:.3g} to {high:.3g} J."
    ]


def versions(table: pa.Table) -> str:
    """Each package with every version that any training used, so that a mixed study shows."""
    found: dict[str, set[str]] = {}
    for text in pc.unique(table["versions"]).to_pylist():
        for name, version in json.loads(text or "{}").items():
            found.setdefault(name, set()).add(str(version))
    return ", ".join(f"{name} {' and '.join(sorted(found[name]))}" for name in sorted(found))


def duration(seconds: float) -> str:
    """A time in the unit that people would choose.

    >>> duration(90), duration(5400), duration(86400)
    ('90 s', '90 min', '24 h')
    """
    if seconds < 120:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.3g} min" if seconds < 7200 else f"{seconds / 3600:.3g} h"
