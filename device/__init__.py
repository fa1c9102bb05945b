"""One VCM cell and arrays of cells: physics, variability, the analog product and the aihwkit tile."""

import importlib
from typing import Any

_EXPORTS = {
    "ArrayFigures": "figures",
    "ArraySeeds": "seeds",
    "array_figures": "figures",
    "Correlation": "variability",
    "INTERVENTIONS": "intervention",
    "Intervention": "intervention",
    "Mismatch": "variability",
    "NetworkSeeds": "seeds",
    "Periphery": "periphery",
    "PulseError": "variability",
    "ReadNoise": "variability",
    "Spread": "variability",
    "StuckCells": "variability",
    "TargetWalk": "variability",
    "TelegraphNoise": "variability",
    "TrialSGD": "optimizer",
    "VCMDevice": "vcm_device",
    "VCMRPUConfig": "config",
    "VCMSimulatorTile": "tile",
    "VCMTile": "tile",
    "VCMTileArray": "tile",
    "Variability": "variability",
    "Walk": "variability",
    "Window": "variability",
    "WriteError": "variability",
    "CellParameters": "parameters",
    "DeviceError": "errors",
    "VcmSweepError": "errors",
    "Fit": "fitting",
    "LibraryCell": "library",
    "Measurement": "measurement",
    "cell_names": "library",
    "check_gpu": "gpu_subset",
    "Response": "response",
    "Waveform": "waveforms",
    "respond": "response",
    "Validity": "validity",
    "check_state": "validity",
    "current": "conduction",
    "library_cell": "library",
    "load_cell": "library",
    "draw": "pictures",
    "draw_fit": "pictures",
    "elasticities": "elasticity",
    "fit": "fitting",
    "integrate": "integration",
    "rate": "kinetics",
    "read_elasticities": "elasticity",
    "read_measurement": "measurement",
    "save_picture": "pictures",
    "temperature": "kinetics",
}

__all__ = sorted(_EXPORTS)


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_EXPORTS[name]}"), name)


def __dir__() -> list[str]:
    return __all__
