"""What a study would cost, by ``vcm-sweep plan`` in a process of its own, since a pilot trains."""

import hashlib
import json
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from vcm_sweep.cluster.options import in_words
from vcm_sweep.cluster.service.settings import ServiceSettings
from vcm_sweep.cluster.service.studies.actions import Actions
from vcm_sweep.cluster.service.studies.in_turn import InTurn
from vcm_sweep.sweep.errors import StudyError

_LONGEST_S, _WAIT_S = 900.0, 120.0
# Long enough for whoever was told to come back; the cores may be busier or freer after that.
_HELD_S = 60.0


class Plans:
    """Plans studies, one at a time, so that pilots do not measure each other.

    Args:
        settings: of the service. actions: which read studies.
    """

    def __init__(self, settings: ServiceSettings, actions: Actions) -> None:
        self._settings, self._actions = settings, actions
        self._in_turn = InTurn()

    def plan(self, text: str, pilot_s: float = 20.0) -> dict[str, Any]:
        """What ``vcm-sweep plan --json`` prints of a study; one that was just made is given again.

        Args:
            text: of the study. pilot_s: seconds of the pilot, beyond its least eight rows; 0: no pilot, no costs.

        Raises:
            StudyError, TooLargeError: it is no study that can be trained here, or its pilot fails.
            BusyError: it takes longer than an answer waits for.
        """
        study = self._actions.read(text)
        out = self._settings.root / study.folder_name

        def made() -> dict[str, Any]:
            return self._made(study.text, pilot_s, out)

        what = hashlib.sha256(text.encode()).digest(), pilot_s
        return self._in_turn(what, object(), made, _WAIT_S, age_s=_HELD_S)

    def _made(self, text: str, pilot_s: float, out: Path) -> dict[str, Any]:
        with tempfile.TemporaryDirectory(prefix="vcm-sweep-plan-") as scratch:
            file = Path(scratch) / "study.toml"
            file.write_text(text, encoding="utf-8")
            pilot = ["--pilot-s", str(pilot_s)] if pilot_s else ["--no-pilot"]
            place = replace(self._settings.place, address=None, in_process=True)
            words = ["plan", str(file), "--out", str(out), "--json", *pilot, *in_words(place)]
            try:
                done = subprocess.run(
                    [*self._settings.program, *words],
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    text=True,
                    timeout=_LONGEST_S,
                    cwd=self._settings.working,
                )
            except subprocess.TimeoutExpired:
                raise StudyError(
                    f"no plan within {_LONGEST_S:g} s: its trainings are long; plan it with a shorter pilot"
                ) from None
            said = done.stderr.strip().splitlines()
        if done.returncode or not done.stdout.strip():
            last = said[-1].removeprefix("vcm-sweep: ") if said else f"plan ended with {done.returncode}"
            raise StudyError(last.replace(f"{file}: ", ""))
        found: dict[str, Any] = json.loads(done.stdout)
        return found | {"folder": out.name}
