"""Images of the readers beside those that torchvision shows, on small files and on the real CIFAR-100."""

import gzip
import hashlib
import os
import pickle
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision.datasets as theirs
from exeunt.specs import SpecError
from exeunt.training.data import DataSource, datasets
from scipy.io import savemat

NAMES = ["cifar10", "cifar100", "svhn", "mnist", "fashion_mnist", "stl10"]
RANDOM = np.random.default_rng(0)


def load(name, directory):
    return datasets[name].load(DataSource(directory=directory))


def random_bytes(*shape):
    return RANDOM.integers(0, 256, shape, dtype=np.uint8)


def listed(paths):
    return [[path.name, hashlib.md5(path.read_bytes()).hexdigest()] for path in paths]


class Python2Pickler(pickle._Pickler):
    """Pickler that writes bytes like Python 2, with which the real files were written."""

    def save_bytes(self, value):
        self.write(pickle.BINSTRING + len(value).to_bytes(4, "little") + value)
        self.memoize(value)

    dispatch = {**pickle._Pickler.dispatch, bytes: save_bytes}  # noqa: RUF012


def pickled(path, content):
    with path.open("wb") as file:
        Python2Pickler(file, protocol=2).dump(content)


def write_cifar(facts, root, monkeypatch):
    folder = root / facts.base_folder
    folder.mkdir()
    key = b"labels" if facts is theirs.CIFAR10 else b"fine_labels"
    for part in [*facts.train_list, *facts.test_list]:
        labels = RANDOM.integers(0, 10, 4).tolist()
        pickled(folder / part[0], {b"data": random_bytes(4, 3072), key: labels, b"coarse_labels": [9] * 4})
    pickled(folder / facts.meta["filename"], {facts.meta["key"].encode(): [b"a"] * 10})
    meta_md5 = listed([folder / facts.meta["filename"]])[0][1]
    monkeypatch.setattr(facts, "meta", facts.meta | {"md5": meta_md5})
    for kept in ("train_list", "test_list"):
        monkeypatch.setattr(facts, kept, listed([folder / file for file, _ in getattr(facts, kept)]))


def write_mnist(facts, root, monkeypatch):
    folder = root / facts.__name__ / "raw"
    folder.mkdir(parents=True)
    for file, _ in facts.resources:
        images = "images" in file
        values = random_bytes(5, 28, 28) if images else random_bytes(5) % 10
        sizes = [0x803, 5, 28, 28] if images else [0x801, 5]
        content = b"".join(size.to_bytes(4, "big") for size in sizes) + values.tobytes()
        (folder / file).write_bytes(gzip.compress(content))
        (folder / file).with_suffix("").write_bytes(content)  # which torchvision reads
    monkeypatch.setattr(facts, "resources", listed([folder / file for file, _ in facts.resources]))


def write_svhn(facts, root, monkeypatch):
    for split in ("train", "test"):
        url, file, _ = facts.split_list[split]
        savemat(root / file, {"X": random_bytes(32, 32, 3, 6), "y": np.array([[10], [1], [9], [10], [3], [2]])})
        monkeypatch.setitem(facts.split_list, split, [url, *listed([root / file])[0]])


def write_stl10(facts, root, monkeypatch):
    folder = root / facts.base_folder
    folder.mkdir()
    for split in ("train", "test"):
        (folder / f"{split}_X.bin").write_bytes(random_bytes(3, 3 * 96 * 96).tobytes())
        (folder / f"{split}_y.bin").write_bytes(bytes([10, 1, 5]))
    (folder / "class_names.txt").write_text("a\nb\n")
    for kept, split in (("train_list", "train"), ("test_list", "test")):
        monkeypatch.setattr(facts, kept, listed([folder / f"{split}_X.bin", folder / f"{split}_y.bin"]))


SETS = {
    "cifar10": (theirs.CIFAR10, write_cifar, "data_batch_3"),
    "cifar100": (theirs.CIFAR100, write_cifar, "test"),
    "svhn": (theirs.SVHN, write_svhn, "train_32x32.mat"),
    "mnist": (theirs.MNIST, write_mnist, "train-labels-idx1-ubyte.gz"),
    "fashion_mnist": (theirs.FashionMNIST, write_mnist, "t10k-images-idx3-ubyte.gz"),
    "stl10": (theirs.STL10, write_stl10, "test_y.bin"),
}


@pytest.mark.parametrize("name", NAMES)
def test_images_and_labels_are_those_that_torchvision_reads(name, tmp_path, monkeypatch):
    facts, write, _ = SETS[name]
    write(facts, tmp_path, monkeypatch)
    by_split = facts in (theirs.SVHN, theirs.STL10)
    for images, split in zip(load(name, tmp_path), ("train", "test"), strict=True):
        reference = facts(tmp_path, split=split) if by_split else facts(tmp_path, train=split == "train")
        pictures = [np.asarray(picture).reshape(*images.pixels.shape[2:], -1) for picture, _ in reference]
        assert np.array_equal(images.pixels.permute(0, 2, 3, 1).numpy(), np.stack(pictures))
        assert images.labels.tolist() == [int(label) for _, label in reference]
        assert images.labels.dtype == torch.int64
        assert images.pixels.dtype == torch.uint8
        assert images.pixels.shape[1:] == datasets[name].image_shape


@pytest.mark.parametrize("name", NAMES)
def test_a_damaged_file_is_named(name, tmp_path, monkeypatch):
    facts, write, file = SETS[name]
    write(facts, tmp_path, monkeypatch)
    [path] = tmp_path.rglob(file)
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(SpecError, match=rf"{file} of {name} is damaged"):
        load(name, tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_absent_is_asked_for(name, tmp_path):
    with pytest.raises(SpecError, match=rf"{name} is missing from {tmp_path}: .* not found.* or add --download\."):
        load(name, tmp_path)


@pytest.fixture(scope="module")
def data_folder(tmp_path_factory):
    """Data directory with the real CIFAR-100."""
    named = os.environ.get("EXEUNT_DATA")
    if named and (Path(named) / "cifar-100-python").is_dir():
        return Path(named)
    unpack = Path(__file__).parents[4] / "shared" / "data" / "unpack"
    if not unpack.exists():
        pytest.skip("the real CIFAR-100 is neither in EXEUNT_DATA nor in ../shared/data")
    folder = tmp_path_factory.mktemp("data")
    subprocess.run([unpack, folder], check=True, capture_output=True)
    return folder


@pytest.mark.nightly
def test_the_real_cifar100_is_read_as_torchvision_reads_it(data_folder):
    facts = datasets["cifar100"]
    train, test = facts.load(DataSource(directory=data_folder))
    for images, is_train in ((train, True), (test, False)):
        reference = theirs.CIFAR100(data_folder, train=is_train)
        assert np.array_equal(images.pixels.permute(0, 2, 3, 1).numpy(), reference.data)
        assert images.labels.tolist() == reference.targets
    assert train.labels.bincount().tolist() == [500] * facts.classes
    assert test.labels.bincount().tolist() == [100] * facts.classes


@pytest.mark.slow
def test_mean_and_deviation_of_cifar100_are_those_of_its_training_images(data_folder):
    facts = datasets["cifar100"]
    train, _ = facts.load(DataSource(directory=data_folder))
    levels = torch.arange(256, dtype=torch.float64) / 255
    for channel, (mean, std) in enumerate(zip(facts.mean, facts.std, strict=True)):
        share = train.pixels[:, channel].flatten().bincount(minlength=256) / train.pixels[:, channel].numel()
        found = float((share * levels).sum())
        assert mean == pytest.approx(found, abs=5e-5)
        assert std == pytest.approx(float((share * (levels - found) ** 2).sum().sqrt()), abs=5e-5)
