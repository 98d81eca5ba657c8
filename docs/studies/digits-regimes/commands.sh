#!/bin/sh
# Make everything in this directory except what was written by hand: sweep.yaml, questions.md, README.md and tests.py.
set -eu
here=$(dirname "$0")
exeunt sweep "$here/sweep.yaml"
exeunt verify
mkdir -p "$here/tables"
for kind in main exits regimes cost; do
    exeunt table digits-regimes --kind "$kind" --format csv > "$here/tables/$kind.csv"
    exeunt table digits-regimes --kind "$kind" --format latex > "$here/tables/$kind.tex"
done
python "$here/tests.py" > "$here/tables/tests.csv"
exeunt figures digits-regimes --out "$here/figures"
exeunt report digits-regimes --out "$here/report.html"
