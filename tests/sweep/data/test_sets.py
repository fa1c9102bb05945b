"""Data sets have the shapes that networks need; data that cannot be used gives one line that says what to mend."""

import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest
import torch

from vcm_sweep.sweep import StudyError
from vcm_sweep.sweep.data.sets import DataSet, fingerprint, load

Own: TypeAlias = Callable[[str], str]


def assert_one_line(error: pytest.ExceptionInfo[StudyError], *words: str) -> None:
    message = str(error.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def test_digits_are_images_of_one_channel() -> None:
    data = load("digits")
    assert data.train_x.shape == (1437, 1, 8, 8)
    assert data.test_x.shape == (360, 1, 8, 8)
    assert data.train_x.dtype == torch.float32
    assert (data.train_x.min(), data.train_x.max()) == (0, 1)
    assert data.train_y.unique().tolist() == list(range(data.classes))
    assert load("digits") is data


def test_mnist_is_images_of_one_channel(mnist_root: str) -> None:
    data = load("mnist", mnist_root)
    assert data.train_x.shape == (60000, 1, 28, 28)
    assert data.test_x.shape == (10000, 1, 28, 28)
    assert (data.train_x.min(), data.train_x.max()) == (0, 1)
    # As published: the first training image is a five, the first test image a seven.
    assert (data.train_y[0], data.test_y[0]) == (5, 7)


def test_validation_is_the_end_of_the_chosen_training_part() -> None:
    data = load("digits")
    part = data.first(100, 50, validation_samples=30)
    assert torch.equal(torch.cat([part.train_x, part.valid_x]), data.train_x[:100])
    assert torch.equal(torch.cat([part.train_y, part.valid_y]), data.train_y[:100])
    assert torch.equal(part.valid_y, data.train_y[70:100])
    assert torch.equal(part.test_x, data.test_x[:50])
    everything = data.first(0, 0)
    assert [len(y) for y in (everything.train_y, everything.valid_y, everything.test_y)] == [1437, 0, 360]


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ((1438, 0, 0), ["train_samples = 1438", "at most 1437"]),
        ((0, 361, 0), ["test_samples = 361", "at most 360"]),
        ((100, 0, 100), ["validation_samples = 100", "below the 100 training samples", "lower it"]),
        ((0, 0, 1437), ["validation_samples = 1437", "below the 1437"]),
    ],
)
def test_parts_larger_than_the_data(sizes: tuple[int, int, int], words: list[str]) -> None:
    with pytest.raises(StudyError) as error:
        load("digits").first(*sizes)
    assert_one_line(error, "[network]", *words)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(StudyError) as error:
        load("fashion-mnist")
    assert_one_line(error, "data = 'fashion-mnist'", "'kmnist'", "did you mean 'fashion_mnist'?", "module:function")


# --- The MNIST family: torchvision reads files in the published format, here with made-up images.


def write_idx(file: Path, values: np.ndarray) -> None:
    """The idx format: two zero bytes, 8 for uint8, the number of axes, each length big-endian, then the bytes."""
    file.parent.mkdir(parents=True, exist_ok=True)
    header = bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape)
    file.write_bytes(header + values.astype(np.uint8).tobytes())


def write_made_up(root: Path, folder: str, train: int = 6, test: int = 4) -> Path:
    """The four files of a data set of the family; image i is all i, its label i modulo 10."""
    raw = root / folder / "raw"
    for prefix, count in (("train", train), ("t10k", test)):
        images = np.broadcast_to(np.arange(count)[:, None, None], (count, 28, 28))
        write_idx(raw / f"{prefix}-images-idx3-ubyte", images)
        write_idx(raw / f"{prefix}-labels-idx1-ubyte", np.arange(count) % 10)
    return raw


@pytest.mark.parametrize(
    ("name", "folder"), [("mnist", "MNIST"), ("fashion_mnist", "FashionMNIST"), ("kmnist", "KMNIST")]
)
def test_made_up_files_of_each_name_are_read_from_its_own_folder(
    name: str, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_made_up(tmp_path, folder)
    # The folder of the environment serves as well as the one that is given.
    monkeypatch.setenv("VCM_SWEEP_DATA", str(tmp_path))
    for data in (load(name, str(tmp_path)), load(name)):
        assert data.train_x.shape == (6, 1, 28, 28)
        assert data.test_x.shape == (4, 1, 28, 28)
        assert torch.allclose(data.train_x[3], torch.tensor(3 / 255))
        assert data.test_y.tolist() == [0, 1, 2, 3]
        assert data.classes == 10


def test_files_that_are_not_there_name_the_set_and_the_file(tmp_path: Path) -> None:
    with pytest.raises(StudyError) as error:
        load("fashion_mnist", str(tmp_path))
    assert_one_line(error, f"FashionMNIST is not in {tmp_path}", "FashionMNIST/raw/train-images", "VCM_SWEEP_DATA")
    write_made_up(tmp_path, "KMNIST").joinpath("t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(StudyError) as error:
        load("kmnist", str(tmp_path))
    assert_one_line(error, "KMNIST is not in", "looked for KMNIST/raw/t10k-labels-idx1-ubyte")


def truncate(raw: Path) -> None:
    file = raw / "train-images-idx3-ubyte"
    file.write_bytes(file.read_bytes()[:-1000])


def empty(raw: Path) -> None:
    (raw / "train-labels-idx1-ubyte").write_bytes(b"")


def wrong_shape(raw: Path) -> None:
    write_idx(raw / "train-images-idx3-ubyte", np.zeros((6, 27, 28)))


def label_missing(raw: Path) -> None:
    write_idx(raw / "train-labels-idx1-ubyte", np.arange(5))


def wrong_label(raw: Path) -> None:
    write_idx(raw / "train-labels-idx1-ubyte", np.array([0, 1, 2, 3, 4, 10]))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (truncate, ["RuntimeError", "[6, 28, 28]"]),
        (empty, ["ValueError"]),
        (wrong_shape, ["(6, 27, 28)", "28 x 28"]),
        (label_missing, ["labels (5,)"]),
        (wrong_label, ["labels from 0 to 10, not 0 to 9"]),
    ],
)
def test_a_broken_file_is_one_line(damage: Callable[[Path], None], words: list[str], tmp_path: Path) -> None:
    damage(write_made_up(tmp_path, "MNIST"))
    with pytest.raises(StudyError) as error:
        load("mnist", str(tmp_path))
    assert_one_line(error, f"MNIST in {tmp_path} is broken", "MNIST/raw/train-*", "copy the files there again", *words)


# --- A user's own data, from a module in the folder where vcm-sweep is started.

PREAMBLE = """
import numpy as np
import torch
from torch.utils.data import TensorDataset

def pair(x, y):
    return TensorDataset(torch.as_tensor(x), torch.as_tensor(y))

good = pair(torch.arange(12.0).reshape(4, 3), [0, 1, 2, 1])
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Own:
    """Writes a module of the given code, with ``good`` and ``pair`` at hand; gives the path of its ``get``."""
    monkeypatch.chdir(tmp_path)
    # monkeypatch puts the search path back at the end.
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    name = f"own_{tmp_path.name}"

    def write(code: str) -> str:
        (tmp_path / f"{name}.py").write_text(PREAMBLE + code)
        return f"{name}:get"

    return write


def test_own_samples_keep_their_shape(own: Own) -> None:
    data = load(own("def get(): return good, pair(torch.ones(2, 3), [0, 2])"))
    assert torch.equal(data.train_x, torch.arange(12.0).reshape(4, 3))
    assert data.train_y.tolist() == [0, 1, 2, 1]
    assert data.test_x.shape == (2, 3)
    assert (data.train_x.dtype, data.train_y.dtype, data.classes) == (torch.float32, torch.int64, 3)


def test_own_uint8_images_are_scaled_and_lists_of_pairs_are_data_sets(own: Own) -> None:
    # A list is a map-style dataset; the view with a negative stride and the whole float are what users write.
    data = load(
        own("""
image = np.array([[[0, 51], [102, 255]]], dtype=np.uint8)[:, ::-1]
def get():
    return [(image, 0), (image, np.int32(1))], [(torch.from_numpy(image.copy()), 1.0)]
""")
    )
    assert data.train_x.shape == (2, 1, 2, 2)
    assert torch.allclose(data.test_x, torch.tensor([[[[0.4, 1.0], [0.0, 0.2]]]]))
    assert data.test_y.tolist() == [1]


def test_own_module_finds_its_neighbour_when_it_is_called(own: Own, tmp_path: Path) -> None:
    path = own(f"def get():\n    import beside_{tmp_path.name} as beside\n    return good, beside.more(good)")
    (tmp_path / f"beside_{tmp_path.name}.py").write_text("def more(data): return data")
    assert len(load(path).test_y) == 4


def test_a_file_named_like_an_installed_package_hides_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: Own
) -> None:
    """Workers look through the user's folder last: a driver that looked there first would see other data."""
    site = tmp_path / "site"
    site.mkdir()
    path = own("")
    name = path.partition(":")[0]
    (site / f"{name}.py").write_text(PREAMBLE + "def get(): return good, pair(torch.ones(2, 3), [0, 2])")
    monkeypatch.syspath_prepend(site)
    assert load(path).test_y.tolist() == [0, 2]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        # the path
        ("def got(): return good, good", ["has no 'get'", "did you mean 'got'?"]),
        ("get = 3", ["is a int", "name a function"]),
        ("import not_installed_anywhere", ["importing", "ModuleNotFoundError", "not_installed_anywhere"]),
        ("raise RuntimeError('first\\nsecond')", ["importing", "RuntimeError: first second"]),
        ("raise SystemExit(1)", ["importing", "SystemExit: 1"]),
        # what it returns
        ("def get(): raise OSError('no disk')", ["calling it failed", "OSError: no disk"]),
        ("def get(x): return good, good", ["calling it failed", "TypeError", "'x'"]),
        ("def get(): return good", ["returned a TensorDataset", "return two datasets"]),
        ("def get(): return good, good, good", ["returned 3 values", "return two datasets"]),
        ("def get(): return good, (item for item in good)", ["test is a generator", "map-style"]),
        ("def get(): return good, []", ["test is empty", "at least one sample"]),
        # the samples
        ("def get(): return good, [{'x': 1}]", ["sample 0 of test", "dict", "pair (sample, label)"]),
        ("def get(): return good, [('x', 1)]", ["sample 0 of test", "str", "ToTensor"]),
        ("def get(): return good, [(np.array(['x']), 1)]", ["sample 0 of test", "TypeError", "float32"]),
        ("def get(): return good, pair([[1, 2, 3]], [0])", ["sample 0 of test", "int64", "floating-point, or uint8"]),
        ("def get(): return good, pair([1.0], [0])", ["sample 0 of test", "shape ()", "needs an axis"]),
        ("def get(): return good, pair(torch.ones(1, 4), [0])", ["of test", "(4,)", "(3,)", "one shape"]),
        (
            "def get(): return [good[0], (torch.ones(2), 1)], good",
            ["sample 1 of train", "shape (2,)", "shape (3,)", "one shape"],
        ),
        (
            "def get(): return good, pair(torch.ones(1, 3, dtype=torch.uint8), [0])",
            ["sample 0 of test", "uint8", "float32", "one shape and type"],
        ),
        ("def get(): return good, pair([[1, 2, np.nan]], [0])", ["of test", "NaN or infinite", "remove or replace"]),
        ("def get(): return good, pair([[1, 2, np.inf]], [0])", ["of test", "NaN or infinite"]),
        (
            "def get(): return good, pair(torch.full((1, 3), 1e300, dtype=torch.float64), [0])",
            ["of test is float64", "the first of train float32"],
        ),
        ("class Broken(list):\n    def __getitem__(self, i): 1 / 0\ndef get(): return Broken([1]), good",
         ["sample 0 of train", "ZeroDivisionError"]),
        (
            "class Huge(list):\n    def __len__(self): return 2_000_000_000\ndef get(): return Huge(good), good",
            ["2000000004 samples of shape (3,)", "24.0 GB", "at most 10"],
        ),
        # the labels
        ("def get(): return good, pair(torch.ones(1, 3), [0.5])", ["sample 0 of test", "label 0.5", "whole numbers"]),
        ("def get(): return good, pair(torch.ones(1, 3), [np.nan])", ["sample 0 of test", "label nan"]),
        ("def get(): return good, pair(torch.ones(1, 3), [-1])", ["sample 0 of test", "label -1", "from 0"]),
        ("def get(): return good, pair(torch.ones(1, 3), [[0, 1]])", ["sample 0 of test", "label [0, 1]"]),
        ("def get(): return good, [(torch.ones(3), 10**400)]", ["sample 0 of test", "label 1000", "to 99999"]),
        ("def get(): return good, [(torch.ones(3).to_sparse(), 0)]", ["sample 0 of test", "sparse", "to_dense()"]),
        ("import sys\ndef get(): sys.exit('no')", ["calling it failed", "SystemExit: no"]),
        ("class Exits(list):\n    def __getitem__(self, i): raise SystemExit\ndef get(): return Exits([1]), good",
         ["sample 0 of train", "SystemExit"]),
        ("class Exits(list):\n    def __len__(self): raise SystemExit(1)\ndef get(): return Exits(), good",
         ["len() of train", "SystemExit: 1"]),
        ("def get(): return good, pair(torch.ones(1, 3), [3])", ["test has the label 3", "of train is 2"]),
        ("def get(): return [(torch.ones(3), 0)], good", ["all labels of train are 0", "at least two"]),
    ],
)  # fmt: skip
def test_own_data_that_cannot_be_used(own: Own, code: str, words: list[str]) -> None:
    path = own(code)
    with pytest.raises(StudyError) as error:
        load(path)
    assert_one_line(error, f"[network] data = '{path}'", *words)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("nowhere_to_be_found:get", ["no module 'nowhere_to_be_found'", "install it", "start vcm-sweep"]),
        ("json.nowhere:get", ["no module 'json.nowhere'"]),
        ("json.nowhere.deep:get", ["no module 'json.nowhere'"]),
        ("json:", ["'package.module:name'", "one colon"]),
        ("a folder/data.py:get", ["'package.module:name'"]),
        ("json:loads:twice", ["'package.module:name'"]),
    ],
)
def test_a_path_that_leads_nowhere(path: str, words: list[str], tmp_path: Path, own: Own) -> None:
    with pytest.raises(StudyError) as error:
        load(path)
    assert_one_line(error, f"[network] data = '{path}'", *words)


def test_fingerprint_tells_data_apart_by_value_shape_and_label() -> None:
    x, y = torch.arange(12.0).reshape(3, 4), torch.tensor([0, 1, 1])

    def digits(x: torch.Tensor, y: torch.Tensor) -> str:
        return fingerprint(DataSet(x, y, x, y, 2))

    same = digits(x, y)
    assert len(same) == 16
    assert set(same) <= set("0123456789abcdef")
    # Equal values in another place or layout of memory are equal data.
    assert digits(x.t().contiguous().t(), y.clone()) == same
    changed = x.clone()
    changed[2, 3] = torch.nextafter(changed[2, 3], torch.tensor(0.0))
    others = [digits(changed, y), digits(x.reshape(3, 2, 2), y), digits(x, torch.tensor([0, 1, 0]))]
    assert len({same, *others}) == 4
