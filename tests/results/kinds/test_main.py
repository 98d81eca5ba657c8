from exeunt.results import tabulate


def test_every_commit_is_named_with_what_was_changed_in_it(sweep):
    frame = sweep.frame()
    frame["commit"] = ["0123456789ab", "ba9876543210+changes"] * (len(frame) // 2) + [""] * (len(frame) % 2)
    assert "Commit: 0123456789ab, ba9876543210+changes" in tabulate(frame).remarks
