"""Code of experiments is found as their commands find it: beside the script."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "experiments" / "adaptive_tracking"))
