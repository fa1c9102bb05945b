"""Make the golden files anew: ``python -m tests.golden.make`` in the repository; README.md says when to do so."""

import shutil
from unittest.mock import patch

import torch

from vcm_sweep.analysis import analyze
from vcm_sweep.sweep import InProcessExecutor, Study, open_results, run, train

from . import measured, saved_layer


def main() -> None:
    """Write every golden file."""
    torch.set_num_threads(1)
    measured.write("keys.json", {path.name: measured.keys(path) for path in sorted(measured.STUDIES.glob("*.toml"))})
    for name in ("checkpoints", "results"):
        shutil.rmtree(measured.HERE / name, ignore_errors=True)
    made = {}
    for name in measured.TRAININGS:
        measured.first_epoch(measured.trials(name), measured.HERE / "checkpoints")
        made[name] = [measured.plain(record) for record in train(measured.trials(name))]
    measured.write("trainings.json", {"arithmetic": measured.arithmetic(), "records": made})
    # The name of this machine does not belong in the repository.
    with patch("platform.node", return_value="golden"):
        study = Study.from_toml(measured.HERE / "results.toml")
        run(study, InProcessExecutor(train), measured.HERE / "results", pack=32)
    (measured.HERE / "results" / "lock").unlink()
    results = open_results(measured.HERE / "results")
    measured.write(
        "results.json",
        {
            "digest": results.study.digest,
            "counts": dict(results.counts()),
            "records": results.table().sort_by([("point", "ascending"), ("replicate", "ascending")]).to_pylist(),
            "indices": measured.plain_indices(analyze(results)),
        },
    )
    layer = saved_layer.new_layer()
    saved_layer.train_layer(layer)
    torch.save(layer.state_dict(), measured.HERE / "layer.pt")
    measured.write("layer.json", {"weights": layer.get_weights()[0].tolist()})


if __name__ == "__main__":
    main()
