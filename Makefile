# Two commands from a bare clone: `make demo` and `make test`. Each makes its own environment in .venv first.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# glibc gives freed memory back to the system and asks for it again in every step; keeping it saves a tenth of the time
KEEP_MEMORY := MALLOC_MMAP_THRESHOLD_=1073741824 MALLOC_TRIM_THRESHOLD_=2147483648

.PHONY: demo model test test-all test-oldest lint types docs release-check bench bench-docs results gpu-wheels clean

EXAMPLE ?= asymgan
RESULTS ?= benchmarks/results
NOW := $(shell date +%Y-%m-%d-%H%M%S)
override OUT := runs/$(if $(filter asymgan,$(EXAMPLE)),demo,$(EXAMPLE))

# EXAMPLE=name runs another one of examples/, DATA=folder trains on your own images, ARGS=... adds any option of the example
demo: $(VENV)/.examples
	@$(if $(filter --resume --help --dry-run,$(ARGS)),,test ! -e $(OUT) || \
		{ mv $(OUT) $(OUT)-until-$(NOW) && echo "the run that was in $(OUT) is now in $(OUT)-until-$(NOW)"; })
	$(KEEP_MEMORY) $(BIN)/python examples/$(EXAMPLE).py demo --out $(OUT) $(if $(DATA),--data "$(DATA)") $(ARGS)

# the trained model in models/ made anew, in about three quarters of an hour of one core: --threads and --epochs, since a clock is no two times the same
MODEL := grey-to-colour
MODEL_ARGS := --method base --weights.cycle-aux 1 --detach-fake-poor --size 64 --batch 1 --lr-g 5e-4 --lr-d 2e-4 --ema 0.999 --minutes None --epochs 36 --picture-size 96 --report-every 3000 --threads 1 --tracker none
model: $(VENV)/.examples
	$(KEEP_MEMORY) $(BIN)/python examples/asymgan.py demo --out runs/$(MODEL) $(MODEL_ARGS) $(ARGS)
	$(BIN)/python examples/share.py runs/$(MODEL) -o models/$(MODEL) --overwrite

PYTEST := -m pytest --numprocesses auto --dist worksteal

test: lint types
	OMP_NUM_THREADS=1 $(BIN)/python $(PYTEST) -m "not slow" $(ARGS)

test-all: lint types
	OMP_NUM_THREADS=1 $(BIN)/python $(PYTEST) $(ARGS)

# the tests of `make test` with the lowest versions that pyproject.toml declares, in an environment of its own (6 GB) that is removed
# afterwards; those versions warn of what later ones changed, which is no error here
test-oldest:
	set -e; oldest=$$(mktemp -d); trap 'rm -rf "$$oldest"' EXIT; \
	$(PYTHON) -m venv "$$oldest"; \
	"$$oldest/bin/pip" install --quiet --disable-pip-version-check uv; \
	"$$oldest/bin/uv" pip install --quiet --python "$$oldest/bin/python" --resolution lowest-direct --editable ".[dev]"; \
	OMP_NUM_THREADS=1 "$$oldest/bin/python" $(PYTEST) -m "not slow" --override-ini filterwarnings=default $(ARGS)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

docs: $(VENV)/.docs
	$(BIN)/sphinx-build -W --keep-going -b html docs docs/_build/html

# sdist and wheel as they would be published: built twice, compared, checked, installed into an empty environment
release-check: $(VENV)/.dev
	$(BIN)/python .ci/release_check.py

# docs/benchmarks.md measured on this machine, a CPU takes about three quarters of an hour; bench-docs writes the page from all results
bench: export PYTHONPATH := examples
bench: $(VENV)/.bench
	$(KEEP_MEMORY) $(BIN)/python benchmarks/model_size.py --out $(RESULTS)
	$(KEEP_MEMORY) $(BIN)/python benchmarks/ops.py --out $(RESULTS)
	$(KEEP_MEMORY) $(BIN)/python benchmarks/scaling.py --out $(RESULTS)
	$(KEEP_MEMORY) $(BIN)/python benchmarks/conv_paths.py --out $(RESULTS)
	$(KEEP_MEMORY) $(BIN)/python benchmarks/presets.py --out $(RESULTS)
	$(KEEP_MEMORY) $(BIN)/python benchmarks/train_step.py --size 128 --out $(RESULTS)
	$(KEEP_MEMORY) $(BIN)/python benchmarks/train_step.py --size 256 --out $(RESULTS)
	$(KEEP_MEMORY) $(BIN)/python benchmarks/data_loading.py --out $(RESULTS)
	$(MAKE) bench-docs

bench-docs: $(VENV)/.bench
	$(BIN)/python benchmarks/pages.py

# the smallest table of docs/results.md once more, beside the figures that are kept: nine minutes of one core. ARGS=... are other options of
# benchmarks/hidden_factors; without --out they add to the results, which `make bench-docs` writes to the page
SMALLEST := --arms cyclegan asymgan-zcycle1 --factors 1 --seeds 0 --steps 1000 --out runs/hidden_factors.json
results: $(VENV)/.bench
	OMP_NUM_THREADS=1 $(KEEP_MEMORY) $(BIN)/python benchmarks/hidden_factors $(if $(ARGS),$(ARGS),$(SMALLEST))

# what benchmarks/gpu.sh needs where nothing can be downloaded and PyTorch, Triton, torchmetrics, timm and matplotlib are installed
GPU_PYTHON ?= 3.12
GPU_WHEELS := pytorch-msssim lpips piq kornia kornia-rs tyro docstring-parser typeguard cattrs

gpu-wheels:
	rm -rf .whl
	$(PYTHON) -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --python-version $(GPU_PYTHON) \
		--implementation cp --platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64 --dest .whl $(GPU_WHEELS)

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ echo "asymkit needs Python 3.10 or newer; try: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)

# one stamp for each set of extras, so that the environment is made anew only when pyproject.toml changes
$(VENV)/.examples $(VENV)/.dev $(VENV)/.docs $(VENV)/.bench: $(VENV)/.%: pyproject.toml | $(VENV)/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check --editable ".[$*]"
	touch $@

clean:
	rm -rf $(VENV) build dist runs docs/_build
