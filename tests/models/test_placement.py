import pytest
from exeunt.models import (
    ArchitectureSpec,
    ExitSpec,
    architecture_layout,
    build_network,
    canonical,
    resolve,
)
from exeunt.specs import SpecError
from hypothesis import given, settings
from hypothesis import strategies as st

RESNET18 = architecture_layout("resnet18", (3, 32, 32), 100)  # stages of two blocks each, block1 to block8


@pytest.mark.parametrize(
    ("placement", "blocks", "written"),
    [
        ("none", (), "none"),
        ("all", (2, 4, 6), "all"),
        (" all ", (2, 4, 6), "all"),
        ("1,2,3", (2, 4, 6), "all"),
        ("3,1,2", (2, 4, 6), "all"),
        ("1,3", (2, 6), "1,3"),
        (" 3 , 1 ", (2, 6), "1,3"),
        ("2", (4,), "2"),
        ("02", (4,), "2"),
        ("block4", (4,), "2"),
        ("block6,block2,block4", (2, 4, 6), "all"),
        ("block3", (3,), "block3"),
        ("block7", (7,), "block7"),
        ("1,block5", (2, 5), "block2,block5"),
        ("block5,1", (2, 5), "block2,block5"),
        ("50%", (4,), "2"),
        ("25%,50%,75%", (2, 4, 6), "all"),
        ("1%", (1,), "block1"),
        ("99.5%", (7,), "block7"),
        ("38.1%", (3,), "block3"),
        ("3,block1,50%", (1, 4, 6), "block1,block4,block6"),
        ("all,block1", (1, 2, 4, 6), "block1,block2,block4,block6"),
        ("99.5%, block3 ,all", (2, 3, 4, 6, 7), "block2,block3,block4,block6,block7"),
    ],
)
def test_a_placement_has_its_blocks_and_one_way_of_being_written(placement, blocks, written):
    assert resolve(placement, RESNET18) == blocks
    assert canonical(placement, RESNET18) == written
    assert resolve(written, RESNET18) == blocks


@pytest.mark.parametrize(
    ("placement", "named"),
    [
        ("4", ["'4'", "stages 1 to 3"]),
        ("0", ["'0'", "stages 1 to 3"]),
        ("1,7", ["'7' in '1,7'", "stages 1 to 3"]),
        ("block8", ["'block8'", "block1 to block7"]),
        ("block0", ["'block0'", "block1 to block7"]),
        ("0%", ["'0%'", "above 0% and below 100%"]),
        ("100%", ["'100%'", "above 0% and below 100%"]),
        ("1,250%", ["'250%' in '1,250%'", "above 0% and below 100%"]),
        ("al", ["'al'", "the nearest is 'all'"]),
        ("Block2", ["'Block2'", "the nearest is 'block1'"]),
        ("stage1", ["'stage1'", "stages (1,3)"]),
        ("1;3", ["'1;3'", "stages (1,3)"]),
        ("-1", ["'-1'", "the nearest is '1'"]),
        ("1.5", ["'1.5'", "the nearest is '1'"]),
        ("", ["''", "all, none"]),
        ("1,,3", ["'' in '1,,3'"]),
        ("1,all", ["'all' and '1' are both after block2", "use a free block: block1, block3, block4, block5"]),
        ("all,2", ["'2' and 'all' are both after block4", "use a free block: block1, block3, block5, block7"]),
        ("all,all", ["'all' and 'all' are both after block2"]),
        ("50%,all", ["'all' and '50%' are both after block4"]),
        ("none,all", ["'none' in 'none,all'", "cannot be combined"]),
        ("none,2", ["'none' in 'none,2'", "cannot be combined"]),
        ("1,1", ["'1' and '1' are both after block2"]),
        ("2,block4", ["'block4' and '2' are both after block4"]),
        ("block4,50%", ["'50%' and 'block4' are both after block4"]),
    ],
)
def test_a_placement_that_is_not_there_is_refused_with_part_and_rule(placement, named):
    with pytest.raises(SpecError) as refusal:
        resolve(placement, RESNET18)
    assert refusal.value.field == "placement"
    assert [part for part in named if part not in str(refusal.value)] == []


def test_shares_of_the_multiply_adds_are_counted_by_hand():
    """In ResNet-18 at 32x32, stage 1 has 64 channels and 1024 positions; each stage doubles and quarters them."""
    same = 2 * 64 * 64 * 9 * 1024
    first = same * 3 // 4 + 64 * 128 * 256
    stem = 3 * 64 * 9 * 1024
    blocks = [same, same] + [first, same] * 3
    whole = stem + sum(blocks) + 512 * 100
    by_hand = [(stem + sum(blocks[:number])) / whole for number in range(1, 9)]
    assert RESNET18.shares == pytest.approx(by_hand, rel=1e-12)


placements = st.lists(
    st.just("all")
    | st.integers(1, 3).map(str)
    | st.integers(1, 7).map("block{}".format)
    | st.integers(1, 99).map("{}%".format),
    min_size=1,
    max_size=4,
).map(",".join)


@settings(deadline=None)
@given(placements | st.just("none"))
def test_equal_blocks_are_written_equally_and_mean_themselves(placement):
    try:
        blocks = resolve(placement, RESNET18)
    except SpecError as refusal:
        assert "are both after block" in str(refusal)  # noqa: PT017 (no other error is allowed)
        return
    written = canonical(placement, RESNET18)
    assert resolve(written, RESNET18) == blocks
    assert canonical(written, RESNET18) == written
    assert canonical(",".join(f"block{block}" for block in reversed(blocks)) or "none", RESNET18) == written


@pytest.mark.parametrize("architecture", ["resnet8", "resnet56", "resnet18", "resnet50"])
def test_all_exits_follow_every_stage_but_the_last_on_each_architecture(architecture):
    layout = architecture_layout(architecture, (3, 32, 32), 10)
    assert resolve("all", layout) == tuple(stage[-1] for stage in layout.stages)[:-1]
    assert list(layout.shares) == sorted(layout.shares)
    assert 0 < layout.shares[0] < layout.shares[-1] < 1


def test_a_network_refuses_a_placement_that_its_architecture_lacks():
    spec, exits = ArchitectureSpec(name="resnet8"), ExitSpec(placement="3")
    with pytest.raises(SpecError, match="stages 1 to 2"):
        build_network(spec, exits, image_shape=(3, 32, 32), classes=10, seed=0)


def test_specs_refuse_unknown_names_with_the_nearest():
    with pytest.raises(SpecError, match=r"unknown architecture 'resnet9'; the nearest is .*'resnet8'"):
        ArchitectureSpec(name="resnet9")
    with pytest.raises(SpecError, match="unknown head 'con'; the nearest is 'conv'"):
        ExitSpec(head="con")
