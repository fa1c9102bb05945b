"""What other estimators make of the same records."""

from vcm_sweep.analysis.report.content.material import Material
from vcm_sweep.analysis.report.content.parts import Section, Table, Text
from vcm_sweep.analysis.studies.second_opinion import NAMES


def second_opinion(material: Material) -> Section | None:
    """Whether they agree, and their total indices side by side; None where the records allow no other estimator."""
    opinions = material.opinions
    if not opinions:
        return None
    columns = ["factor", NAMES[material.result.method], *(opinion.name for opinion in opinions)]
    others = [{index.factor: index for index in opinion.other.total} for opinion in opinions]
    rows = [
        [index.factor, index.percent(), *(other[index.factor].percent() for other in others)]
        for index in material.result.ranking()
    ]
    return Section(
        "Second opinion",
        "second-opinion",
        [
            Text(" ".join(opinion.words() for opinion in opinions)),
            Table("second-opinion", "Total indices by several estimators", columns, rows, frozenset(columns[1:])),
        ],
    )
