# Needs Python 3.10 or newer and a package index; everything else is made in .venv.
PYTHON ?= python3
JOBS ?= 2
COUNT ?= 200
BIN := .venv/bin
READY := .venv/.installed

.DEFAULT_GOAL := help
.PHONY: help demo test quick fmt check docs bench zoo zoo-requested corpus generated mutation wheel clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1|\2/' | column -t -s '|' 2>/dev/null \
	  || grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' \
	  || { echo "smokestep needs Python 3.10 or newer; $(PYTHON) is older: try make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[torch,dev]"
	touch $@

demo: $(READY)  ## watch smokestep find the bug in a real training script, and pass its repaired twin
	@$(BIN)/smokestep run examples/digits.py; status=$$?; \
	  test $$status -eq 1 || { echo "expected a defect (exit code 1), got exit code $$status"; exit 1; }
	@$(BIN)/smokestep run examples/digits_fixed.py

test: check  ## run every check on the code, and every test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(JOBS) --dist worksteal tests

fmt: $(READY)  ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

check: $(READY)  ## lint, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(READY)  ## build the site into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "built: site/index.html"

bench: $(READY)  ## measure what recording and examining cost
	$(BIN)/python -m bench

generated: $(READY)  ## draw thousands of small trainings, right and wrong, and write docs/generated.md
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.generated.sweep --count $(COUNT) --jobs $(JOBS) --write

mutation: $(READY)  ## put faults into the zoo's trainings one at a time, and write docs/mutation.md (minutes)
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.mutation --jobs $(JOBS) --write

zoo: $(READY)  ## only the healthy trainings that must stay silent
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(JOBS) tests/zoo

zoo-requested: $(READY)  ## the checks that run only on request, on those healthy trainings (minutes)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(JOBS) tests/zoo/requested.py

corpus: $(READY)  ## only the wrong trainings, each with its one right answer
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(JOBS) tests/corpus

wheel: $(READY)  ## build the wheel, install it elsewhere and use it there
	$(BIN)/python -m pytest -q tests/test_wheel.py

clean:  ## remove what the targets made, .venv included
	rm -rf .venv site dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
