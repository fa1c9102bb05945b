"""The designs by their name in a study file."""

from .design import Design
from .limits_design import LimitsDesign
from .sampled_designs import MorrisDesign, ShapleyDesign, SobolDesign
from .study import Study

_DESIGNS: dict[str, type[Design]] = {
    made.method: made for made in (SobolDesign, MorrisDesign, ShapleyDesign, LimitsDesign)
}


def build_design(study: Study) -> Design:
    """The design of a study.

    Example:
        >>> from vcm_sweep.sweep import Study
        >>> study = Study.from_text('''
        ... [study]
        ... name = "screening"
        ... [network]
        ... hidden = [8]
        ... data = "digits"
        ... epochs = 1
        ... batch = 32
        ... lr = 0.02
        ... [[factor]]
        ... name = "r.d2d.sigma"
        ... range = [0.0, 0.08]
        ... [[factor]]
        ... name = "read.noise.sigma"
        ... range = [0.0, 0.05]
        ... [design]
        ... method = "morris"
        ... n = 10
        ... ''')
        >>> design = build_design(study)
        >>> len(design), design.points.shape, design.block
        (30, (30, 2), 3)
    """
    return _DESIGNS[study.design.method](study)
