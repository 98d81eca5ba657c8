"""Tests of `exeunt describe` through the command line."""

import pytest
import torch


@pytest.fixture
def describe(run):
    """Run the command in this process."""
    return lambda *words: run("describe", *words)


def rows(out):
    """Return the cells of each row below the headings."""
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in out.splitlines() if line.startswith("│")]


def conv(inputs, outputs):
    """Return the number of weights of a 3x3 convolution without bias and of its normalisation."""
    return 9 * inputs * outputs + 2 * outputs


def test_eeds_resnet18_costs_what_its_authors_program_costs(describe):
    status, out, err = describe("resnet18", "--exits", "all", "--head", "conv", "--classes", "100")
    assert (status, err) == (0, "")
    assert out.splitlines()[0].strip() == "resnet18 at 3x32x32, 15,580,880 parameters in total"
    first, *_, final = rows(out)
    assert [row[1] for row in rows(out)] == ["block2", "block4", "block6", "block8"]
    assert final[2] == "11,220,132"
    assert final[4] == "668.9"
    by_hand = conv(3, 64) + 4 * conv(64, 64) + conv(64, 128) + conv(128, 256) + conv(256, 512) + 101 * 512 - 412
    assert first[2] == f"{by_hand:,}"


def test_options_reach_the_network(describe):
    words = ("resnet8", "--exits", "1,block2", "--head", "linear", "--size", "16", "--channels", "1", "--classes", "7")
    status, out, _ = describe(*words)
    assert status == 0
    assert out.startswith("resnet8 at 1x16x16, ")
    first, second, final = rows(out)
    assert [first[:2], second[:2], final[:2]] == [["1", "block1"], ["2", "block2"], ["final", "block3"]]
    assert first[2] == f"{conv(1, 16) + 2 * conv(16, 16) + 17 * 64 + 65 * 7:,}"


def test_without_exits_one_row_is_left(describe):
    status, out, _ = describe("resnet8", "--exits", "none", "--classes", "10")
    assert status == 0
    assert [row[0] for row in rows(out)] == ["final"]


def test_latency_is_measured_for_each_exit(describe):
    status, out, _ = describe("resnet8", "--latency", "cpu", "--batch", "2", "--size", "8")
    assert status == 0
    assert "cpu, batch 2," in out
    assert "…" not in out
    assert all(float(row[-1]) > 0 for row in rows(out))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("resnet81", "unknown architecture 'resnet81'; the nearest is 'resnet8' or 'resnet18'"),
        ("torchvision/alexnt", "unknown architecture 'torchvision/alexnt'; the nearest is 'torchvision/alexnet'"),
        ("resnet18 --exits 4", "unknown placement '4'; this network allows exits after stages 1 to 3"),
        ("resnet18 --exits all,1", "'1' and 'all' are both after block2; remove one, or use a free block: block1"),
        ("resnet18 --exits 0%", "a percentage must be above 0% and below 100%"),
        ("resnet18 --head cnv", "unknown head 'cnv'; the nearest is 'conv'"),
        ("resnet18 --size 7", "images of 7x7 pixels are too small for this architecture; it needs at least 8x8"),
        ("resnet18 --size -1", "it needs at least 8x8"),
        ("resnet18 --channels 0", "`1 <= channels` must hold, but got channels=0"),
        ("resnet18 --classes -2", "`1 <= classes` must hold, but got classes=-2"),
        ("resnet8 --latency cpu --batch 0", "`1 <= batch_size` must hold, but got batch_size=0"),
        ("resnet8 --latency cpu --size 1000000 --batch 1000", "resnet8 needs more memory than is free; reduce --size"),
        ("resnet8 --latency cpu --size 1000000 --batch 1000000", "needs more memory than is free;"),
        ("resnet8 --latency gpu", "device 'gpu' not found; available devices: cpu"),
        ("resnet8 --latency meta", "device 'meta' not found; available devices: cpu"),
        pytest.param(
            "resnet8 --latency cuda",
            "device 'cuda' not found; available devices: cpu.",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="CUDA is available"),
        ),
    ],
)
def test_what_cannot_be_described_is_one_message_and_status_2(describe, words, message):
    status, out, err = describe(*words.split())
    assert (status, out) == (2, "")
    assert err.startswith("exeunt: ")
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("words", ["", "resnet8 --size big", "resnet8 --frobnicate", "resnet8 --classes 1000001"])
def test_a_mistyped_call_is_status_2_without_a_traceback(describe, words):
    status, out, err = describe(*words.split())
    assert (status, out) == (2, "")
    assert "Usage: exeunt describe" in err
    assert "Traceback" not in err
