# What .ci/run calls, and a person too. PYTHON chooses the interpreter.
PYTHON ?= python3
FUZZ_SECONDS ?= 30
FUZZ_TARGETS ?= $(shell command -v clang >/dev/null || echo model idx table lowering play)

.PHONY: all test house lint types format-c c clang isas free-threaded safety bench demos notebooks docs
all: lint types format-c test c

test:      ## all tests
	$(PYTHON) -m pytest

house:     ## who may import whom, and what ARCHITECTURE.md says
	$(PYTHON) -m pytest tests/house

lint:      ## ruff, and its format; the workflows by their schema, and what of them could be misused
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m check_jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	zizmor --offline --quiet --persona pedantic .github/workflows

types:     ## mypy, strict
	$(PYTHON) -m mypy

format-c:  ## clang-format
	git ls-files '*.c' '*.h' | xargs clang-format --dry-run --Werror

c:         ## all C tests under AddressSanitizer and UBSan, with and without threads; PART=quick: some
	PYTHON=$(PYTHON) bash tests/c/run $(PART)

clang:     ## the core built by clang, in a folder of its own, and the tests of its numbers and of its bits
	folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && \
	    cp -R csrc micrograd tests build_ffi.py setup.py pyproject.toml README.md LICENSE "$$folder" && cd "$$folder" && \
	    rm -f micrograd/_core.* && CC=clang $(PYTHON) setup.py -q build_ext --inplace && export PYTHONPATH="$$folder" && \
	    $(PYTHON) -c 'from micrograd import core; name = core.ffi.string(core.lib.mg_compiler()); print(name); assert b"clang" in name' && \
	    $(PYTHON) -m pytest -q -p no:cacheprovider tests/kernels tests/network/test_network.py tests/network/test_layers.py \
        tests/training/test_fit_many.py tests/sklearn/test_together.py

isas:      ## the numbers on the other instruction sets of this machine; kernels are tested on each anyway
	for isa in $$($(PYTHON) -c 'from micrograd import core; print(*core.supported_isas()[:-1])'); do \
	    echo "-- $$isa" && MICROGRAD_ISA=$$isa $(PYTHON) -m pytest -q tests/core tests/network tests/optim tests/program \
	    tests/training || exit 1; done

free-threaded: ## what has to hold without Python's lock, each test in four threads at once; wants pytest-run-parallel
	$(PYTHON) -c 'import sys, micrograd.core; assert not getattr(sys, "_is_gil_enabled", lambda: True)(), "this Python has its lock"'
	$(PYTHON) -m pytest --parallel-threads=4 tests/engine tests/program tests/network tests/checkpoint tests/saving \
	    tests/training tests/optim tests/test_schedule.py tests/test_sharing.py
	$(PYTHON) -m pytest tests/core tests/data tests/sklearn tests/test_faults.py tests/test_processes.py

safety:    ## sanitizers, fuzzing and random networks: the quick part of each
	$(PYTHON) tools/sanitize.py --quick
	$(PYTHON) tools/fuzz.py --seconds $(FUZZ_SECONDS) $(FUZZ_TARGETS)
	$(PYTHON) -m micrograd selftest --networks 200

bench:     ## that benchmarks run; `micrograd bench` has the figures
	$(PYTHON) -m pytest tests/benchmarks --benchmark-disable

demos:     ## every demo, once, each on one core; no line is longer than 100 characters
	export OMP_NUM_THREADS=1; for demo in demos/[0-9]*.py; do echo "-- $$demo"; \
	    text=$$($(PYTHON) $$demo) || exit 1; \
	    if echo "$$text" | LC_ALL=C.UTF-8 grep -E '.{101}'; then exit 1; fi; done

docs:      ## the site, into build/site; any warning stops it
	NO_MKDOCS_2_WARNING=1 $(PYTHON) -m mkdocs build --strict

notebooks: ## the demos as notebooks, in demos/notebooks, each executed once
	$(PYTHON) tools/notebooks.py --execute
