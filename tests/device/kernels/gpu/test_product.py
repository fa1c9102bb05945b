"""The analog product of a GPU against that of a CPU, whose noise it has: the same outputs, not only the same law.

test_analog_product.py compares the CPU's with aihwkit's compiled tile. Without a GPU, Triton's interpreter stands in.
"""

from unittest import mock

import numpy as np
import pytest
import torch
from aihwkit.simulator.parameters.enums import AnalogMVType, BoundManagementType, NoiseManagementType, WeightNoiseType
from aihwkit.simulator.parameters.io import IOParameters

from vcm_sweep.device.array.count import Count
from vcm_sweep.device.kernels.gpu.reads.product import read_arrays
from vcm_sweep.device.kernels.layout import LARGEST_MAGNITUDE, LARGEST_SUM
from vcm_sweep.device.seeds import key_of_more, stream_key
from vcm_sweep.device.tile import gpu_product as under_test
from vcm_sweep.device.tile.compiled_product import CompiledProduct, new_suspects
from vcm_sweep.device.tile.gpu_product import CellNoise, gpu_product
from vcm_sweep.device.tile.io_numbers import IoNumbers

from .without_a_gpu import checks_of, compiled, needs_triton, run_checks

CALL = Count(7)  # any number of a call
SUM = {"noise_management": NoiseManagementType.ABS_MAX_NP_SUM}
WORST = {"bound_management": BoundManagementType.ITERATIVE_WORST_CASE}
SEPARATE = {"mv_type": AnalogMVType.POS_NEG_SEPARATE_DIGITAL_SUM}
SETTINGS = {
    "default": {},
    "perfect": {"is_perfect": True},
    "no noise management": {"noise_management": NoiseManagementType.NONE},
    "constant": {"noise_management": NoiseManagementType.CONSTANT, "nm_thres": 2.0},
    "largest value": {"noise_management": NoiseManagementType.MAX},
    "largest sum": SUM,
    "threshold": {"nm_thres": 1.5},
    "input noise": {"inp_noise": 0.1},
    "weight noise": {"w_noise": 0.05, "w_noise_type": WeightNoiseType.ADDITIVE_CONSTANT},
    "noise of PCM": {"w_noise": 0.05, "w_noise_type": WeightNoiseType.PCM_READ},
    "no bound management": {"bound_management": BoundManagementType.NONE},
    "worst case": WORST,
    "worst case without a scale": WORST | {"noise_management": NoiseManagementType.NONE},
    "engine's order": {"bm_test_negative_bound": False, "out_bound": 2.0},
    "coarse": {"inp_res": 1 / 14, "out_res": 1 / 30},
    "no converters": {"inp_res": -1, "out_res": -1},
    "no noise": {"out_noise": 0.0},
    "rounds by chance": {"inp_sto_round": True, "out_sto_round": True},
    "many rounds": {"out_bound": 0.05, "out_noise": 1e-4},
    "rounds that end": {"out_bound": 0.05, "max_bm_factor": 16},
    "scaled output": {"out_scale": 2.0},
    "asymmetric": {"inp_asymmetry": 0.1, "out_asymmetry": 0.2, "w_noise": 0.05,
                   "w_noise_type": WeightNoiseType.ADDITIVE_CONSTANT},
    "signs apart": SEPARATE,
    "signs apart, in all": SEPARATE | {"out_asymmetry": 0.2, "inp_noise": 0.1, "inp_sto_round": True, "out_bound": 1.0},
}  # fmt: skip


def vectors(trials: int, batch: int, features: int, seed: int) -> torch.Tensor:
    """Of all sizes; one is zeros, one next to nothing."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(trials, batch, features, generator=generator) * torch.logspace(-3, 1, batch)[:, None]
    x[:, batch // 2] = 0.0
    x[:, batch // 3] *= 1e-39
    return x


def weights(trials: int, out: int, inn: int) -> torch.Tensor:
    return torch.rand(trials, out, inn, generator=torch.Generator().manual_seed(4)) * 2 - 1


def both(weight, x, io: IoNumbers, device: str, noise=None, read_from=None) -> tuple[torch.Tensor, torch.Tensor]:
    """(outputs of a CPU, of the kernel under test); ``noise``: sigma and dark of each trial."""
    streams = [stream_key(9, k) for k in range(len(x))]
    keys = np.array([key_of_more(stream, CALL.number) for stream in streams], np.uint64)
    there, given = (torch.tensor(streams, dtype=torch.uint64).to(device), None)
    sd = None
    if noise is not None:
        plain = weight if read_from is None else read_from
        sd = noise[:, :1, None] * (plain - noise[:, 1:, None])
        given = CellNoise(noise.to(device), None if read_from is None else read_from.to(device))
    cpu = CompiledProduct()(weight, x, io, keys, new_suspects(len(x)), sd)
    gpu = gpu_product(weight.to(device), x.to(device), io, there, CALL, given)
    return cpu, gpu.cpu()


def assert_same(cpu: torch.Tensor, gpu: torch.Tensor, io: IoNumbers, x: torch.Tensor) -> None:
    """The same, but for sums in another order, by which a converter may round to the next step, if seldom."""
    largest = cpu.abs().amax(-1, keepdim=True).clamp(min=1e-6)
    apart = (gpu - cpu).abs() > 4e-6 * largest
    assert apart.float().mean() < 0.01
    step = torch.from_numpy(io.of_all(len(x))["out_step"] * io.of_all(len(x))["out_scale"])[:, None, None]
    # By how much bound management scales is not known here: a step is at most that of the largest output.
    assert ((gpu - cpu).abs()[apart] <= (step * (largest + 1)).expand_as(apart)[apart]).all()


def check_outputs_are_those_of_a_cpu(device: str) -> None:
    for name, given in SETTINGS.items():
        for forward in (True, False):
            io, x = IoNumbers([IOParameters(**given)], forward), vectors(2, 35, 45, 5)
            weight = weights(2, 21, 45) if forward else weights(2, 45, 21).transpose(1, 2)
            cpu, gpu = both(weight, x, io, device)
            assert torch.isfinite(gpu).all(), (name, forward)
            try:
                assert_same(cpu, gpu, io, x)
            except AssertionError as error:
                raise AssertionError(f"{name}, {forward=}") from error


def check_settings_and_read_noise_of_each_trial(device: str) -> None:
    ios = [
        IOParameters(out_noise=noise, out_bound=bound, inp_res=res)
        for noise, bound, res in ((0.0, 12.0, -1), (0.1, 0.5, 1 / 30), (0.06, 3.0, 1 / 126))
    ]
    weight, x = weights(3, 70, 150), vectors(3, 40, 150, 6)
    noise = torch.tensor([[0.0, -1.4], [0.05, -1.5], [0.1, -1.3]])
    for forward in (True, False):
        io = IoNumbers(ios, forward)
        assert_same(*both(weight, x, io, device, noise), io, x)
        drifted = weight + 0.1 * torch.sin(weight * 9)
        cpu, gpu = both(drifted, x, io, device, noise, read_from=weight)
        assert_same(cpu, gpu, io, x)
        assert not torch.equal(cpu, both(drifted, x, io, device, noise)[0])


def check_a_trial_does_not_depend_on_its_stack(device: str) -> None:
    """Nor on how many vectors, outputs or programs are worked on at a time."""
    io, weight, x = IoNumbers([IOParameters(out_bound=1.0)]), weights(4, 20, 40), vectors(4, 70, 40, 7)
    keys = torch.tensor([stream_key(9, k) for k in range(4)], dtype=torch.uint64).to(device)
    weight, x = weight.to(device), x.to(device)
    stacked = gpu_product(weight, x, io, keys, CALL)
    alone = gpu_product(weight[2:3].clone(), x[2:3].clone(), IoNumbers([IOParameters(out_bound=1.0)]), keys[2:3], CALL)
    assert torch.equal(alone[0], stacked[2])
    with mock.patch.multiple(under_test, PROGRAMS=3, READ_AT_ONCE=8):
        assert torch.equal(gpu_product(weight, x, io, keys, CALL), stacked)
    with mock.patch.object(under_test, "ROUNDS", 2):
        assert torch.equal(gpu_product(weight, x, io, keys, CALL), stacked)
    assert not torch.equal(gpu_product(weight, x, io, keys, Count(8)), stacked)


def check_what_is_not_finite_stays_in_its_vector(device: str) -> None:
    """And gives what a CPU gives: a converter cuts what is infinite, where no noise management divides by it."""
    weight, x = weights(2, 20, 40), vectors(2, 12, 40, 8)
    x[0, 3, 5], x[1, 4, 0], x[1, 7, 1] = float("nan"), float("inf"), -float("inf")
    for management, finite_too in ((NoiseManagementType.ABS_MAX, 0), (NoiseManagementType.NONE, 2)):
        io = IoNumbers([IOParameters(out_bound=1.0, noise_management=management)])
        cpu, gpu = both(weight, x, io, device)
        finite = torch.isfinite(gpu).all(-1)
        assert torch.equal(finite, torch.isfinite(cpu).all(-1))
        assert finite.sum() == 21 + finite_too
        torch.testing.assert_close(gpu[finite], cpu[finite], rtol=4e-6, atol=4e-6)


CHECKS = checks_of(globals())


@needs_triton
@pytest.mark.xdist_group("interpreted product")  # one process for all
@pytest.mark.parametrize("check", CHECKS)
def test_with_the_interpreter_in_place_of_the_gpu(interpreted, check):
    assert interpreted[check] == ""


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("check", CHECKS)
def test_on_the_gpu(check):
    CHECKS[check]("cuda")


# The paper's network forward and back, and all that there is; how many bytes a lane may keep in memory.
PLAIN = {"MANAGEMENT": LARGEST_MAGNITUDE, "REPEATED": -1, "BOUNDED": True, "BOTH": True, "ROUNDS": under_test.ROUNDS}
BACK = PLAIN | {"BOUNDED": False, "ROUNDS": 1, "output_stride": 1}
OTHERS = dict.fromkeys(
    ("SEPARATE", "INPUT_BY_CHANCE", "OUTPUT_BY_CHANCE", "INPUT_NOISE", "WEIGHT_NOISE", "PCM", "READ_NOISE", "SLOW"),
    False,
)
ALL = dict.fromkeys(OTHERS, True) | PLAIN | {"BOTH": False, "REPEATED": LARGEST_SUM, "ROUNDS": under_test.ROUNDS // 2}
SIZES = {"VECTORS": 32, "OUTPUTS": 64, "INPUTS": 32, "READ_AT_ONCE": 16, "PRECISION": "tf32x3"}


@needs_triton
@pytest.mark.usefixtures("compiling")
@pytest.mark.parametrize(
    ("capability", "has", "spilled"),
    [
        pytest.param(capability, has, spilled, marks=[] if capability == 90 and spilled < 64 else pytest.mark.slow)
        for capability in (80, 90, 100)
        for has, spilled in ((PLAIN, 16), (BACK, 0), (PLAIN | {"READ_NOISE": True}, 64), (ALL, 384))
    ],
)
def test_products_compile_without_much_spilling(capability, has, spilled):
    assert {name: getattr(under_test, name) for name in SIZES} == SIZES
    constants = {"input_stride": 1} | OTHERS | SIZES | has
    if "output_stride" in constants:
        del constants["input_stride"]
    found = compiled(read_arrays, constants, 8, capability, aligned=("inputs", "outputs", "output_stride"))
    assert found.registers > 100  # of a kernel that is all there
    assert found.spilled <= spilled


if __name__ == "__main__":
    run_checks(CHECKS)
