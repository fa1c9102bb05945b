"""Physical constants, in SI units.

The explicit preset keeps the constants of the published device (arXiv 2403.06746); they shift rates by about
0.4 % against CODATA 2018.
"""

ELEMENTARY_CHARGE = 1.602e-19  # C
BOLTZMANN_OVER_CHARGE = 8.61860174781523e-5  # V/K
VACANCY_CHARGE_NUMBER = 2.0
CONCENTRATION_UNIT = 1e26  # 1/m3: every N in this package is in this unit
