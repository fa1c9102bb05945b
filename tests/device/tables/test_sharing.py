"""Tables are shared by arrays of equal physics and ranges, and held within a bound of memory."""

import pytest

from vcm_sweep.device import Spread, Variability, VCMDevice
from vcm_sweep.device.tables import sharing


def _spread(sigma: float, clip: float = 0.3) -> VCMDevice:
    return VCMDevice(model="explicit", variability=Variability(d2d={"r": Spread(sigma, clip)}))


def test_arrays_of_equal_ranges_share_a_table_whatever_their_sigma() -> None:
    assert sharing.shared_tables(_spread(0.01)) is sharing.shared_tables(_spread(0.08))


def test_what_is_held_stays_below_its_bound_however_many_ranges_a_study_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """A study with pulse errors has a range per point: each worker held 3 GB of them once."""
    monkeypatch.setattr(sharing, "_SHARED", {})
    one = sharing.shared_tables(_spread(0.02, 0.1))
    monkeypatch.setattr(sharing, "_MOST_SHARED_BYTES", 3.5 * one.nbytes)
    held = [sharing.shared_tables(_spread(0.02, 0.1 + 0.001 * k)) for k in range(1, 8)]
    assert len(sharing._SHARED) == 3
    assert list(sharing._SHARED.values()) == held[-3:]
    assert one.nbytes > one.set.values.nbytes + one.reset.values.nbytes
