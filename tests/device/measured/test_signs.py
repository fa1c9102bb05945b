"""The side on which a sweep sets is seen whatever reading is missing."""

import numpy as np
import pytest

from vcm_sweep.device import DeviceError
from vcm_sweep.device.measured.signs import refuse_polarity


def butterfly() -> tuple[np.ndarray, np.ndarray]:
    """A resistor of 20 kOhm that sets to 2 kOhm at -0.4 V and resets at +0.5 V, in steps of 20 mV."""
    size = np.concatenate((np.arange(0.02, 0.61, 0.02), np.arange(0.58, 0.01, -0.02)))
    volts = np.concatenate((-size, size))
    rows = np.arange(len(volts))
    low = (rows >= np.argmax(volts <= -0.4)) & (rows < np.argmax(volts >= 0.5))
    return volts, volts * np.where(low, 1 / 2e3, 1 / 20e3)


@pytest.mark.parametrize("row", range(118))
def test_a_missing_reading_anywhere_changes_no_verdict(row: int) -> None:
    volts, amperes = butterfly()
    amperes[row] = np.nan
    refuse_polarity("iv", volts, amperes)
    with pytest.raises(DeviceError, match="--polarity set-positive"):
        refuse_polarity("iv", -volts, -amperes)


def test_a_sweep_that_sets_at_its_top_is_not_taken_for_the_other_polarity() -> None:
    """Out and back then share no voltage below the top but that of one branch."""
    volts, amperes = butterfly()
    keep = ~((volts < -0.3) & (np.arange(len(volts)) > 30) & (np.arange(len(volts)) < 58))
    refuse_polarity("iv", volts[keep], amperes[keep])
