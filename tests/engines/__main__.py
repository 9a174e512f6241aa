"""`make test-engines`: exports answer in other engines as their runs do.

Ends with status 1 where one does not, or where an engine could not be installed: nothing is skipped in silence.
Arguments are names of engines; none: all of them.
"""

import os
import shutil
import sys

os.environ |= {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
os.environ |= {"HF_DATASETS_OFFLINE": "1", "PYTHONPATH": os.getcwd()}

from tests.engines.engines import ENGINES
from tests.engines.environments import WORK, EngineError
from tests.engines.exports import exports


def main(names: list[str]) -> int:
    """Train, export, ask; a line for each engine and export."""
    if unknown := {*names} - {*ENGINES}:
        print(f"no engine is called {', '.join(sorted(unknown))}; there are {', '.join(ENGINES)}", file=sys.stderr)
        return 2
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    lines, failed = [], 0
    made = exports(WORK)
    for name in names or ENGINES:
        for export in made:
            try:
                found, good = ENGINES[name](export)
            except EngineError as error:
                found, good = f"could NOT be run: {error}", False
            failed += not good
            lines.append(f"{'ok  ' if good else 'FAIL'}  {name:13} {export.name:8} {found}")
            print(lines[-1], flush=True)
    print("\n" + "\n".join(lines))
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
