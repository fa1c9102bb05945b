"""Physical constants, in SI units.

The explicit model keeps the constants of the published device (arXiv 2403.06746), which shift rates by about 0.4 %;
the full model takes CODATA 2018.
"""

from typing import NamedTuple

VACANCY_CHARGE_NUMBER = 2.0
CONCENTRATION_UNIT = 1e26  # 1/m3: every N in this package is in this unit
READ_VOLTAGE_V = 0.2  # the voltage at which the periphery reads a cell, as in the published device
BOUND_EXPONENT = 10.0  # the exponent in the bound factor F, equation (4)


class Constants(NamedTuple):
    """Elementary charge in C, Boltzmann's constant over it in V/K."""

    elementary_charge: float
    boltzmann_over_charge: float


PUBLISHED = Constants(1.602e-19, 8.61860174781523e-5)
CODATA_2018 = Constants(1.602176634e-19, 1.380649e-23 / 1.602176634e-19)
PLANCK = 6.62607015e-34  # J s
VACUUM_PERMITTIVITY = 8.8541878128e-12  # F/m
RICHARDSON = 6.01e5  # A/m2K2, from the model's parameter table
ELECTRON_MASS = 9.10938e-31  # kg, from the model's parameter table


def constants_of(model: str) -> Constants:
    """The set of constants that a current model is used with."""
    return PUBLISHED if model == "explicit" else CODATA_2018
