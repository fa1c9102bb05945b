"""Builds a study's design, chosen by the method's name in the study file."""

from pathlib import Path

from vcm_sweep.sweep.designs.conditions import ConditionsDesign
from vcm_sweep.sweep.designs.design import Design
from vcm_sweep.sweep.designs.limits import LimitsDesign
from vcm_sweep.sweep.designs.morris import MorrisDesign
from vcm_sweep.sweep.designs.shapley import ShapleyDesign
from vcm_sweep.sweep.designs.sobol import SobolDesign
from vcm_sweep.sweep.designs.space import SpaceDesign
from vcm_sweep.sweep.study.study import Study

_DESIGNS: dict[str, type[Design]] = {
    made.method: made
    for made in (SobolDesign, SpaceDesign, MorrisDesign, ShapleyDesign, LimitsDesign, ConditionsDesign)
}


def build_design(study: Study | str | Path) -> Design:
    """The design of a study, or of the study in a file.

    Example:
        >>> from vcm_sweep.sweep import Study
        >>> design = build_design(Study.from_toml("studies/demo.toml"))
        >>> len(design), design.points.shape, design.block
        (1024, (512, 5), 1)
    """
    study = Study.of(study)
    return _DESIGNS[study.design.method](study)


def checked_design(study: Study) -> Design:
    """The design of a study that is about to be trained.

    Raises:
        StudyError: the study cannot be trained, as simulations showed, see ``Study.check``.
    """
    study.check()
    design = build_design(study)
    design.check()
    return design
