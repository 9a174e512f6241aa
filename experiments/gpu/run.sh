#!/usr/bin/env bash
# The GPU dossier: bash experiments/gpu/run.sh [--cpu] [--clock SECONDS] [--out DIR] [...]; README.md beside this file.
# PYTHON names the interpreter (else .venv/bin/python, or python3), GPU_WHEELS a folder that wheels.sh has filled.
set -euo pipefail
begun=$(date +%s)
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
cd "$root"
python=${PYTHON:-}
if [ -z "$python" ]; then
    python=python3
    if [ -x .venv/bin/python ]; then python=.venv/bin/python; fi
fi
path="$root:$here"
if [ -n "${GPU_WHEELS:-}" ]; then
    site=$(mktemp -d)
    trap 'rm -rf "$site"' EXIT
    "$python" -m pip install --quiet --no-index --no-deps --no-compile --no-cache-dir --target "$site" "$GPU_WHEELS"/*.whl
    path="$path:$site"
fi
export PYTHONPATH="$path${PYTHONPATH:+:$PYTHONPATH}"
export HF_HUB_OFFLINE=1 HF_DATASETS_OFFLINE=1 TOKENIZERS_PARALLELISM=false MPLBACKEND=agg
export PYTORCH_NVML_BASED_CUDA_CHECK=1  # whoever asks whether there is a GPU must not touch it before processes are forked
"$python" -m dossier --spent "$(($(date +%s) - begun))" "$@"
