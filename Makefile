# Needs Python 3.10 or newer and a package index; everything else is made in .venv.
PYTHON ?= python3
JOBS ?= 2
COUNT ?= 200
DEVICE ?= cuda
BIN := .venv/bin
READY := .venv/.installed
KERAS := .venv-keras/.installed

.DEFAULT_GOAL := help
.PHONY: help demo test quick fmt check docs bench zoo zoo-requested corpus generated detection coverage wheel clean ports mutation scripts ecosystem ecosystem-sample test-jax test-keras accelerator bench-jax bench-keras

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1|\2/' | column -t -s '|' 2>/dev/null \
	  || grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' \
	  || { echo "smokestep needs Python 3.10 or newer; $(PYTHON) is older: try make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[torch,jax,dev]"
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

bench-jax: $(READY)  ## measure what examining costs on JAX, and write docs/bench-jax.md
	$(BIN)/python -m bench.frameworks jax --write

bench-keras: $(KERAS)  ## measure what examining costs on Keras, and write docs/bench-keras.md
	.venv-keras/bin/python -m bench.frameworks keras --write

generated: $(READY)  ## draw thousands of small trainings, right and wrong, and write docs/generated.md
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.generated.sweep --count $(COUNT) --jobs $(JOBS) --write

mutation: $(READY)  ## put faults into the zoo's trainings one at a time, and write docs/mutation.md (minutes)
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.mutation --jobs $(JOBS) --write

.venv-ecosystem/.installed: pyproject.toml constraints.txt ecosystem-constraints.txt
	test -x .venv-ecosystem/bin/python || $(PYTHON) -m venv .venv-ecosystem
	.venv-ecosystem/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt \
	  -c ecosystem-constraints.txt -e . torch $$(grep -o '^[^#=]*' ecosystem-constraints.txt)
	touch $@

ecosystem: .venv-ecosystem/.installed  ## examine the models of other people's libraries (hours), and write docs/ecosystem.md
	OMP_NUM_THREADS=1 .venv-ecosystem/bin/python -m tests.ecosystem --jobs $(JOBS) --write

ecosystem-sample: .venv-ecosystem/.installed  ## examine a fixed sample of those models (minutes)
	OMP_NUM_THREADS=1 .venv-ecosystem/bin/python -m tests.ecosystem --jobs $(JOBS) --sample

zoo: $(READY)  ## only the healthy trainings that must stay silent
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(JOBS) tests/zoo
	@! test -e .venv-ecosystem/.installed || $(MAKE) ecosystem-sample

zoo-requested: $(READY)  ## the checks that run only on request, on those healthy trainings (minutes)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(JOBS) tests/zoo/requested.py

corpus: $(READY)  ## only the wrong trainings, each with its one right answer
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(JOBS) tests/corpus

detection: $(READY)  ## count what every check finds, on corpus and zoo, and write docs/detection.md (minutes)
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.detection --jobs $(JOBS) --write

coverage: $(READY)  ## write docs/coverage.md: which known fault is told by which check, and which by none
	$(BIN)/python docs/coverage.py

ports: $(READY)  ## the faults that others reported, re-created: measure them, and write docs/ports.md (minutes)
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.ports --jobs $(JOBS)

$(KERAS): pyproject.toml constraints.txt
	test -x .venv-keras/bin/python || $(PYTHON) -m venv .venv-keras
	.venv-keras/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[torch,jax,dev]" \
	  keras tensorflow-cpu tf-slim tf-keras
	touch $@

test-jax: $(READY)  ## every test of JAX; `make test` runs a part of them
	JAX_PROGRAMS=all OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(JOBS) --dist worksteal tests/jax

test-keras: $(KERAS)  ## the tests of Keras and TensorFlow, in an environment of their own (TensorFlow is large)
	OMP_NUM_THREADS=1 .venv-keras/bin/python -m pytest -q -n $(JOBS) --dist worksteal tests/keras

accelerator: $(READY)  ## zoo and corpus on a GPU, on a machine that has one: DEVICE=cuda
	.venv/bin/python -m tests.accelerator --device $(DEVICE) --jobs $(JOBS)

wheel: $(READY)  ## build the wheel, install it elsewhere and use it there
	$(BIN)/python -m pytest -q tests/test_wheel.py

SCRIPTS := .venv-scripts/.installed
$(SCRIPTS): pyproject.toml constraints.txt tests/ecosystem/scripts/requirements.txt
	test -x .venv-scripts/bin/python || $(PYTHON) -m venv .venv-scripts
	.venv-scripts/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[torch]" \
	  -r tests/ecosystem/scripts/requirements.txt
	touch $@

scripts: $(SCRIPTS)  ## real training scripts of many libraries under smokestep run (an environment of its own, minutes)
	OMP_NUM_THREADS=1 .venv-scripts/bin/python -m tests.ecosystem.scripts_run --plain

clean:  ## remove what the targets made, every environment included
	rm -rf .venv .venv-keras .venv-scripts .venv-ecosystem .ecosystem site dist build
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis
