"""The table [network]: what is trained, on which data, how."""

from dataclasses import dataclass
from typing import Any

from vcm_sweep.device.declared import NEEDED, Declared, declare, declared, number, text, whole, word
from vcm_sweep.sweep.data.sets import DATA_SETS
from vcm_sweep.sweep.errors import StudyError
from vcm_sweep.sweep.networks.presets import ACTIVATIONS, PRESETS
from vcm_sweep.sweep.study.tables.fields import Fields
from vcm_sweep.sweep.study.tables.run import OWN, canonical


@dataclass(frozen=True, kw_only=True)
class NetworkSpec:
    """The network, its data and its training schedule."""

    preset: str = word(
        PRESETS,
        "lenet: two convolutions, two pools, three dense layers; kernels of 3 for images below 20 pixels",
    )
    model: str = text("", "your own network instead of a preset", form=OWN)
    hidden: tuple[int, ...] = declare(
        Declared("wholes", "widths of the mlp's hidden layers, e.g. [256, 128]; for mlp alone", NEEDED, 1, 100_000)
    )
    activation: str = word(tuple(ACTIVATIONS), "after each hidden layer")
    data: str = text(
        NEEDED,
        "a data set, or your own",
        words=DATA_SETS,
        pattern="|".join((*DATA_SETS, ".*:.*")),
        form=f"one of {', '.join(map(repr, DATA_SETS))}, or {OWN}",
    )
    epochs: int = whole(NEEDED, 1, 10_000, "passes over the training samples")
    batch: int = whole(NEEDED, 1, 100_000, "samples of a batch, which act one after the other")
    lr: float = number(NEEDED, 1e-9, 100.0, "", "learning rate")
    lr_step_epochs: int = whole(0, 0, 10_000, "lr is multiplied by lr_gamma after every so many epochs")
    lr_gamma: float = number(1.0, 1e-6, 1.0, "", "see lr_step_epochs; the paper has 0.5 every 10 epochs")
    init: float | str = number(
        0.5,
        0.0,
        100.0,
        "",
        "first weights uniform within +-init; fan_in: within the inverse root of a layer's inputs",
        instead={"fan_in": "fan_in"},
    )
    start: str = text(
        "",
        "first weights from a file of safetensors.torch.save_file(model.state_dict(), path), looked for "
        "beside the study, then where vcm-sweep is started; keys hold its content, not its place",
        form="path of a file",
    )
    train_samples: int = whole(0, 0, 10_000_000, "train with the first so many; 0 is all")
    test_samples: int = whole(0, 0, 10_000_000, "test with the first so many; 0 is all")
    validation_samples: int = whole(0, 0, 10_000_000, "held out from the end of the training samples")
    patience: int = whole(
        0, 0, 10_000, "a trial stops after so many epochs without a better validation accuracy; 0 is never"
    )

    @classmethod
    def from_table(cls, table: Any) -> "NetworkSpec":
        """The network of a study, from its [network] table."""
        fields = Fields(table, "network")
        if (preset := table.get("model")) in PRESETS:
            raise StudyError(f"[network] model = {preset!r} is built in: write preset = {preset!r} instead")
        mlp = "model" not in fields.given and table.get("preset", "mlp") == "mlp"
        spec = cls(**fields.exactly(declared(cls), **({} if mlp else {"hidden": []})))
        spec._check(fields)
        return spec

    def _check(self, fields: Fields) -> None:
        """Raise StudyError for fields that contradict each other."""
        given = fields.given
        if self.model and given & {"preset", "hidden", "activation"}:
            raise StudyError("[network] model is your own network: leave out preset, hidden and activation")
        if self.preset == "lenet" and "hidden" in given:
            raise StudyError("[network] hidden is for preset = 'mlp': leave it out with 'lenet'")
        if self.start and "init" in given:
            raise StudyError("[network] init and start both give the first weights: keep one")
        if self.patience and not self.validation_samples:
            raise StudyError(
                "[network] patience stops a training by its validation accuracy: give validation_samples as well"
            )
        if (self.lr_gamma != 1.0) != (self.lr_step_epochs > 0):
            raise StudyError(
                "[network] lr_gamma below 1 and lr_step_epochs above 0 go together: "
                "lr is multiplied by lr_gamma after every lr_step_epochs epochs"
            )

    def plain(self) -> dict[str, Any]:
        """The canonical table, plain JSON types."""
        values = {name: list(value) if isinstance(value, tuple) else value for name, value in vars(self).items()}
        return canonical(type(self), values)
