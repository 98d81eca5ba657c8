"""Tests of questions.md, as CSV on standard output: python tests.py [STORAGE]."""

import csv
import sys
from collections.abc import Iterator, Mapping

import exeunt
import pandas as pd
from exeunt.results.statistics import PairedTest, holm, paired_test

EXITS = [f"test/{name}/top1" for name in ("exit1", "exit2", "final")]
FIELDS = ("question", "images", "comparison", "pairs", "difference", "low", "high", "p", "p_holm")


def families(storage: str) -> Iterator[tuple[int, str, dict[str, pd.Series]]]:
    """Iterate over the families: number of the question, images, and differences by seed for each comparison."""
    trials = exeunt.open("digits-regimes", storage=storage).trials()
    trials = trials[(trials["role"] == "result") & (trials["state"] == "done")]
    varying = trials["param.method.output_loss"].where(trials["method"] == "eed")
    trials = trials.assign(
        regime=trials["param.regime"].fillna("joint"),
        name=trials["method"] + (" " + varying).fillna(""),
        exits=trials[EXITS].mean(axis=1, skipna=False),
    )
    shares = list(trials["dataset"].unique())
    gains = {}
    for images in shares:
        of = trials[trials["dataset"] == images].pivot(
            index="seed", columns=["regime", "name"], values=["test/final/top1", "exits"]
        )
        joint = of["test/final/top1"]["joint"]
        baseline = joint["baseline"]
        gains[images] = joint["eed kl"] - baseline
        yield 1, images, {f"{name} - baseline": joint[name] - baseline for name in joint if name != "baseline"}
        mixed = of["exits"]["mixed"]
        yield 2, images, {f"{name}, mixed - joint": mixed[name] - of["exits"]["joint"][name] for name in mixed}
    least, most = shares[0], shares[-1]
    yield 4, f"{least}, {most}", {"eed kl - baseline, least - most images": gains[least] - gains[most]}


def tested(differences: Mapping[str, pd.Series]) -> dict[str, PairedTest]:
    """Return the tests of one family, with Holm's correction over it; comparisons without pairs are left out."""
    tests = {name: paired_test(values.dropna()) for name, values in differences.items()}
    known = {name: test for name, test in tests.items() if test is not None}
    return dict(zip(known, holm(list(known.values())), strict=True))


def main() -> None:
    """Write the tests."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(FIELDS)
    for question, images, differences in sorted(families(sys.argv[1] if len(sys.argv) > 1 else "runs")):
        for name, test in tested(differences).items():
            low, high = test.t_interval or ("", "")
            writer.writerow(
                [question, images, name, test.pairs, test.mean, low, high, test.wilcoxon_p, test.wilcoxon_p_holm]
            )


if __name__ == "__main__":
    main()
