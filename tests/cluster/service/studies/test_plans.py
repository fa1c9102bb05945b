"""A plan is what `vcm-sweep plan` says, in a process of its own."""

import json
from pathlib import Path

import pytest

from vcm_sweep.cluster.service.service import Service
from vcm_sweep.sweep.errors import StudyError

from ....studies import TINY

PLAYED = """
import json, sys
words = sys.argv[1:]
if "--no-pilot" not in words:
    sys.exit(f"a warning\\nvcm-sweep: {words[1]}: all 8 rows of the pilot failed: run it")
print(json.dumps({"words": words, "text": open(words[1]).read()}))
"""


def test_it_is_asked_of_the_command_line(service: Service, root: Path) -> None:
    (root.parent / "played.py").write_text(PLAYED)
    found = service.plans.plan(TINY, pilot_s=0.0)
    assert found["text"] == TINY
    assert found["words"][0] == "plan"
    assert {"--json", "--in-process", "--no-pilot", str(root / found["folder"])} <= set(found["words"])
    assert json.dumps(found)
    assert not (root / found["folder"]).exists()
    with pytest.raises(StudyError, match=r"^all 8 rows of the pilot failed: run it$"):
        service.plans.plan(TINY)
