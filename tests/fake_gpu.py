"""A GPU that is not there: its tensors have shapes and no numbers, and it notes what the host asks of it.

Tensors on "cuda" are torch's fake ones; those on the CPU are as ever, so that cells are made and data loaded in the
usual way. What a driver would be needed for has a stand-in: Triton's launches, generators, and autograd's engine.
"""

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import torch
from aihwkit.optim.context import AnalogContext
from aihwkit.simulator.tiles.module import TileModule
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode, unset_fake_temporarily
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from vcm_sweep.device.kernels.gpu import update
from vcm_sweep.device.tile import gpu_product

KERNELS = ("draw_lines", "find_cells", "pulse_cells", "solve_pulses")
PRODUCT = "read_arrays"


class FakeGpu(TorchDispatchMode):
    """While it is entered, "cuda" is a device that computes nothing.

    Attributes:
        asked: how often which function waited for the GPU or copied to or from it, since it was last cleared.
        operations: how many of torch's operations ran on the GPU.
        launches: how often each of our kernels was started.
    """

    def __init__(self) -> None:
        super().__init__()
        self.asked: Counter[str] = Counter()
        self.operations = 0
        self.launches: Counter[str] = Counter()
        self._generators: list[torch.Generator] = []

    @contextmanager
    def present(self) -> Iterator["FakeGpu"]:
        """The GPU is there within this context, and forgotten after it."""
        generator = torch.Generator

        def generator_on(device: Any = "cpu") -> torch.Generator:
            made = generator()
            if torch.device(device).type == "cuda":
                self._generators.append(made)
            return made

        def as_list(tensor: torch.Tensor) -> Any:
            self._note("waits")
            return [0.0] * len(tensor)

        kernels = {name: _Launch(self, name) for name in KERNELS}
        with ExitStack() as stack:
            for patch in (
                mock.patch.multiple(update, PRESENT=True, **kernels),
                mock.patch.object(gpu_product, "PRESENT", True),
                mock.patch.object(gpu_product, PRODUCT, _Launch(self, PRODUCT)),
                mock.patch.object(torch, "Generator", generator_on),
                mock.patch.object(FakeTensor, "tolist", as_list),
                mock.patch.object(torch.Tensor, "backward", _backward),
                mock.patch.object(TileModule, "_apply_without_context", _move_tile),
                mock.patch.object(AnalogContext, "_replace_raw_data", return_value=None, create=True),
                FakeTensorMode(allow_non_fake_inputs=True),
                self,
            ):
                stack.enter_context(patch)
            yield self

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if not any(_is_there(value) for value in tree_iter((args, kwargs))):
            with unset_fake_temporarily():
                return operation(*args, **kwargs)
        name = operation.overloadpacket.__name__
        self.operations += name != "device"  # a question that only a fake tensor is asked
        if name == "_local_scalar_dense":
            self._note("waits")
            return False
        if kwargs.get("generator") is not None:
            known = {own.initial_seed() for own in self._generators}
            assert kwargs["generator"].initial_seed() in known, "a CPU's generator for a GPU's numbers"
        result = operation(*args, **kwargs)
        if name in ("_to_copy", "copy_"):
            source = args[1 if name == "copy_" else 0]
            if source.device.type != result.device.type:
                asynchronous = kwargs.get("non_blocking") or (name == "copy_" and args[2:] == (True,))
                self._note(f"copies to {result.device.type}{'' if asynchronous else ' and waits'}")
        elif name in ("nonzero", "masked_select", "_unique2"):
            self._note("waits")
        return result

    def _note(self, what: str) -> None:
        frame = sys._getframe(1)
        while not frame.f_globals["__name__"].startswith("vcm_sweep."):
            assert frame.f_back is not None
            frame = frame.f_back
        module = frame.f_globals["__name__"].removeprefix("vcm_sweep.")
        self.asked[f"{module}.{frame.f_code.co_name} {what}"] += 1


def _is_there(value: Any) -> bool:
    return isinstance(value, FakeTensor) or (isinstance(value, torch.device) and value.type == "cuda")


class _Launch:
    """Stands for a Triton kernel: looks at the tensors that it is given."""

    def __init__(self, gpu: FakeGpu, name: str) -> None:
        self._gpu, self._name = gpu, name

    def __getitem__(self, grid: tuple[int, ...]) -> "_Launch":
        assert all(programs > 0 for programs in grid)
        return self

    def __call__(self, *args: Any, **options: Any) -> None:
        self._gpu.launches[self._name] += 1
        for place, value in enumerate(args):
            if isinstance(value, torch.Tensor):
                assert value.device.type == "cuda", f"{self._name} gets argument {place} from {value.device}"
                # A product is told the strides of its weights, which are transposed on the way back.
                whole = value.is_contiguous() or (self._name == PRODUCT and value.mT.is_contiguous())
                assert whole, f"{self._name} gets argument {place} with strides {value.stride()}"
            else:
                assert isinstance(value, int | float | str), f"{self._name} gets a {type(value)} as argument {place}"


def _move_tile(tile: Any, move: Any) -> None:
    """What aihwkit's tiles do with their tensors; torch cannot make a parameter's own data fake, so it gets another."""
    tile.tile._apply(move)
    tile.bias = torch.nn.Parameter(move(tile.bias.data))


@torch.no_grad()
def _backward(loss: torch.Tensor) -> None:
    """Goes back through torch's graph as its engine does, which would ask the driver for streams."""
    order: list[Any] = []

    def visit(node: Any) -> None:
        if node is not None and node not in order:
            for earlier, _ in node.next_functions:
                visit(earlier)
            order.append(node)

    visit(loss.grad_fn)
    gradients: dict[Any, list[torch.Tensor | None]] = {loss.grad_fn: [torch.ones_like(loss)]}
    for node in reversed(order):
        own = gradients.get(node, [None])
        if hasattr(node, "variable"):
            node.variable.grad = own[0]
            continue
        if hasattr(node, "apply"):
            # aihwkit's AnalogFunction, in Python: its context and its input are the arguments that are tensors.
            context, _, inputs, *_ = node.apply(*own)
            back: Any = context, inputs
        else:
            back = node(*own)
        for gradient, (earlier, place) in zip(
            back if isinstance(back, tuple) else (back,), node.next_functions, strict=True
        ):
            if earlier is not None and gradient is not None:
                shapes = earlier._input_metadata
                sums = gradients.setdefault(earlier, [None] * len(shapes))
                gradient, before = gradient.sum_to_size(shapes[place].shape), sums[place]
                sums[place] = gradient if before is None else before + gradient
