"""Sweep files. `quickstart.yaml` is a part of the installed package, for `exeunt demo`."""
