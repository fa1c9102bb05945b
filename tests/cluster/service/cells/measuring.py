"""A file as an instrument would write it, of a cell that is known."""

from vcm_sweep.device import CellParameters, current, integrate


def measured(radius: float = 43e-9, read_v: float = 0.2) -> bytes:
    """A pulse response without noise, by the integrator."""
    cell, n, rows = CellParameters(r=radius), 0.05, ["pulse,voltage_v,width_s,current_a"]
    for i in range(60):
        voltage = -0.42 if i < 30 else 0.78
        n = integrate(n, voltage, 1e-6, cell, "explicit").item()
        rows.append(f"{i},{voltage},1e-6,{current(read_v, n, cell, 'explicit').item()!r}")
    return "\n".join(rows).encode()
