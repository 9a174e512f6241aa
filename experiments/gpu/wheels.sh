#!/usr/bin/env bash
# Download what a machine with torch and no network lacks: bash experiments/gpu/wheels.sh [DIR]. Pure wheels for Python 3.12.
# They are the packages of wheels.txt in the versions of constraints.txt; GPU_WHEELS=DIR tells run.sh (.cache/gpu/wheels).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
folder=${1:-$root/.cache/gpu/wheels}
mkdir -p "$folder"
rm -f "$folder"/*.whl
"${PYTHON:-python3}" -m pip download --quiet --no-deps --only-binary=:all: --implementation py --abi none --platform any \
    --python-version 3.12 --constraint "$root/constraints.txt" --requirement "$here/wheels.txt" --dest "$folder"
ls "$folder"
du -sh "$folder"
