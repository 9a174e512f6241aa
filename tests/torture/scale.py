"""How hard runs are treated: a little in every test run, at length with `make torture` (RIM_TORTURE=long)."""

import os

LONG = os.environ.get("RIM_TORTURE") == "long"
KILLS = 20 if LONG else 3
"""Moments at which a run is killed, one after the other."""
