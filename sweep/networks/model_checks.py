"""Checks that a user's own model can be trained on cells, and that it gives the same in a stack as alone."""

from __future__ import annotations

from typing import Any

from vcm_sweep.device.torch_later import nn, no_grad, torch
from vcm_sweep.sweep.errors import StudyError, one_line
from vcm_sweep.sweep.networks.sample_shapes import channels_hint

_SAMPLES = 3


def check_model(model: nn.Module, twin: nn.Module, what: str, shape: tuple[int, ...], classes: int) -> None:
    """Raise StudyError for a network that cannot become stacked arrays of cells.

    A stacked training folds its trials into the batch. So a sample's scores must depend on that sample alone, and not
    on random numbers or on a state that each worker would have for itself.

    Args:
        model, twin: two networks that the same function built, with different random numbers.
        what: the beginning of error messages.
        shape: shape of one sample.
        classes: number of scores.
    """
    _check_layers(model, what)
    samples = torch.rand(2 * _SAMPLES, *shape, generator=torch.Generator().manual_seed(0))
    _check_scores(model, what, samples, classes)
    _check_twin(model, twin, what, samples)
    _check_use(model, what, samples)
    _check_conversion(model, what, samples)


def _check_layers(model: nn.Module, what: str) -> None:
    """Checks that all parameters are float32 weights and biases of Linear and Conv2d layers, none used twice."""
    owners: dict[int, str] = {}
    for name, module in model.named_modules(remove_duplicate=False):
        parameters = dict(module.named_parameters(recurse=False))
        if parameters and (type(module) not in (nn.Linear, nn.Conv2d) or parameters.keys() - {"weight", "bias"}):
            raise StudyError(
                f"{what}: the layer {name!r} ({type(module).__name__}) has parameters, but only Linear and Conv2d "
                "become cells, no subclasses of theirs: leave it out"
            )
        for kind, parameter in parameters.items():
            if id(parameter) in owners:
                raise StudyError(
                    f"{what}: the layers {owners[id(parameter)]!r} and {name!r} are tied, but an array of cells has "
                    "only one place in a network: give each layer its own weights"
                )
            owners[id(parameter)] = name
            if not parameter.requires_grad:
                raise StudyError(f"{what}: {name}.{kind} has requires_grad = False, but all cells learn: leave True")
            if parameter.dtype != torch.float32:
                raise StudyError(f"{what}: {name}.{kind} is {parameter.dtype}: make it torch.float32")
        if isinstance(module, nn.Conv2d):
            _check_convolution(module, f"{what}: the layer {name!r} has")
    if not owners:
        raise StudyError(f"{what} has no Linear or Conv2d layer: nothing would be trained")


def _check_convolution(module: nn.Conv2d, what: str) -> None:
    if module.groups != 1:
        raise StudyError(f"{what} groups = {module.groups}, but aihwkit's convolutions have one: leave 1")
    if isinstance(module.padding, str):
        raise StudyError(f"{what} padding = {module.padding!r}: give it in numbers, such as kernel_size // 2")
    if module.padding_mode != "zeros":
        raise StudyError(f"{what} padding_mode = {module.padding_mode!r}, but aihwkit's pad with zeros: leave 'zeros'")


def _scores(model: nn.Module, what: str, samples: torch.Tensor) -> torch.Tensor:
    """Scores of a batch, with gradient. Values that are not finite are replaced: a trial records them as diverged."""
    try:
        scores = model.train()(samples)
    except (Exception, SystemExit) as error:
        raise StudyError(
            f"{what} failed on a batch of shape {tuple(samples.shape)} with {one_line(error)}"
            f"{channels_hint(tuple(samples.shape[1:]))}"
        ) from None
    return torch.nan_to_num(scores) if isinstance(scores, torch.Tensor) else scores


@no_grad
def _check_scores(model: nn.Module, what: str, samples: torch.Tensor, classes: int) -> None:
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    some, mixed = samples[:_SAMPLES], torch.cat([samples[:1], samples[_SAMPLES + 1 :]])
    scores = _scores(model, what, some)
    if not isinstance(scores, torch.Tensor) or scores.shape != (_SAMPLES, classes):
        got = tuple(getattr(scores, "shape", ())) or type(scores).__name__
        raise StudyError(f"{what} gave {got} for {_SAMPLES} samples: return scores of shape (samples, {classes})")
    _refuse_probabilities(scores, what)
    if not torch.equal(scores, _scores(model, what, some)):
        raise StudyError(f"{what} gives other scores at every call: leave out dropout and other random layers")
    if not torch.allclose(scores[:1], _scores(model, what, mixed)[:1], atol=1e-5):
        raise StudyError(f"{what} mixes the samples of a batch: leave out batch normalisation")
    for size in (1, 2 * _SAMPLES):
        other, common = _scores(model, what, samples[:size]), min(size, _SAMPLES)
        if other.shape != (size, classes) or not torch.allclose(scores[:common], other[:common], atol=1e-5):
            raise StudyError(
                f"{what} gives a sample other scores in a batch of {size} than in one of {_SAMPLES}: let nothing in it "
                "depend on the number of samples"
            )
    for name, buffer in model.named_buffers():
        if name not in buffers or not _same(buffer, buffers[name]):
            raise StudyError(f"{what} changes its buffer {name!r} when it is called: let nothing but weights change")


def _refuse_probabilities(scores: torch.Tensor, what: str) -> None:
    """Checks that scores are not probabilities already: the loss (cross entropy) takes a softmax of its own."""
    if bool((scores >= 0).all()) and torch.allclose(scores.sum(1), torch.ones(len(scores)), atol=1e-4):
        raise StudyError(
            f"{what} gives probabilities (each sample's scores add up to 1), and the loss has a softmax of its own: "
            "leave its softmax out, or take LogSoftmax"
        )


@no_grad
def _check_twin(model: nn.Module, twin: nn.Module, what: str, samples: torch.Tensor) -> None:
    """Checks that two networks of one function differ in nothing but weights, so that all workers train the same."""
    ours, theirs = dict(model.named_parameters()), dict(twin.named_parameters())
    if {name: p.shape for name, p in ours.items()} != {name: p.shape for name, p in theirs.items()}:
        raise StudyError(f"{what} builds other layers at every call: build the same ones")
    buffers = dict(twin.named_buffers())
    for name, buffer in model.named_buffers():
        if name not in buffers or not _same(buffer, buffers[name]):
            raise StudyError(
                f"{what} builds its buffer {name!r} with other values at every call: draw them from a generator with a "
                "seed of its own"
            )
    for name, parameter in theirs.items():
        parameter.copy_(ours[name])
    if not torch.allclose(_scores(model, what, samples), _scores(twin, what, samples), atol=1e-5):
        raise StudyError(
            f"{what} builds networks that give other scores with equal weights: draw nothing but weights at random"
        )


def _check_use(model: nn.Module, what: str, samples: torch.Tensor) -> None:
    """Checks that every layer is called exactly once for a batch, and gets a gradient."""
    calls = {name: 0 for name, module in model.named_modules() if type(module) in (nn.Linear, nn.Conv2d)}

    def count(name: str) -> Any:
        def hook(*_: Any) -> None:
            calls[name] += 1

        return hook

    handles = [model.get_submodule(name).register_forward_hook(count(name)) for name in calls]
    scores = _scores(model, what, samples)
    for handle in handles:
        handle.remove()
    for name, times in calls.items():
        if times != 1:
            raise StudyError(
                f"{what}: the layer {name!r} is called {times} times for a batch, but an array of cells is read once: "
                f"{'call it' if not times else 'give each call a layer of its own'}, or leave it out"
            )
    _backward(scores, what)
    for name in calls:
        if model.get_submodule(name).weight.grad is None:
            raise StudyError(f"{what}: no gradient reaches the layer {name!r}: leave out detach() and no_grad()")
    model.zero_grad()


def _backward(scores: torch.Tensor, what: str) -> None:
    try:
        scores.square().mean().backward()
    except (Exception, SystemExit) as error:
        raise StudyError(f"{what} has no gradient ({one_line(error)}): let torch differentiate it") from None


def _check_conversion(model: nn.Module, what: str, samples: torch.Tensor) -> None:
    """Checks that two stacked networks of noise-free cells give the scores of the digital one with the same weights."""
    from aihwkit.nn.conversion import convert_to_analog
    from aihwkit.simulator.parameters.io import IOParameters

    from vcm_sweep.device.tile.config import VCMRPUConfig

    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        # Weights that every nominal cell can reach.
        for parameter in model.parameters():
            bound = min(1.0, parameter[0].numel() ** -0.5)
            parameter.copy_(bound * (2 * torch.rand(parameter.shape, generator=generator) - 1))
    perfect = IOParameters(is_perfect=True)
    try:
        analog: nn.Module = convert_to_analog(model, VCMRPUConfig(trials=2, forward=perfect, backward=perfect))
    except (Exception, SystemExit) as error:
        raise StudyError(f"{what} cannot become cells ({one_line(error)})") from None
    expected, got = _scores(model, what, samples), _scores(analog, f"{what}, as cells,", samples)
    if got.shape != expected.shape or not torch.allclose(got, expected, rtol=1e-2, atol=1e-3):
        raise StudyError(
            f"{what} gives other scores when its layers are arrays of cells: use them by calling them, without hooks, "
            "and not through their weights"
        )
    _backward(got, f"{what}, as cells,")


def _same(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.shape == other.shape and torch.equal(torch.nan_to_num(one), torch.nan_to_num(other))
