#!/bin/sh
# Make everything in this directory except sweep.yaml and README.md. EXEUNT_DATA is the directory with cifar-100-python.
set -eu
here=$(dirname "$0")
exeunt sweep "$here/sweep.yaml"
mkdir -p "$here/tables"
for kind in main exits kd convergence stability cost early-exit; do
    exeunt table cifar100-small --kind "$kind" --format csv > "$here/tables/$kind.csv"
    exeunt table cifar100-small --kind "$kind" --format latex > "$here/tables/$kind.tex"
done
exeunt figures cifar100-small --out "$here/figures"
exeunt report cifar100-small --out "$here/report.html"
