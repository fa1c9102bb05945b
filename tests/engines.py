"""aihwkit as it is where its compiled engine is missing, or built for another torch."""

import os
from importlib.util import find_spec
from pathlib import Path


def without_engine(folder: Path, broken: bool = False) -> dict[str, str]:
    """The environment of a process that finds the installed aihwkit without its compiled module.

    Args:
        folder: an empty one, for links to all that aihwkit has otherwise.
        broken: the module is there, but cannot be loaded.
    """
    spec = find_spec("aihwkit")
    assert spec is not None
    assert spec.submodule_search_locations
    installed, made = Path(spec.submodule_search_locations[0]), folder / "aihwkit"
    (made / "simulator").mkdir(parents=True)
    for path in [*installed.iterdir(), *(installed / "simulator").iterdir()]:
        here = made / path.relative_to(installed)
        if path.suffix != ".so" and path != installed / "simulator":
            here.symlink_to(path)
        elif path.suffix == ".so" and broken:
            here.write_bytes(b"no library")
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])}
