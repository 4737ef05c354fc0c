# Every command installs what it needs. `make` alone lists the commands.
#
# Needs: make, a shell, Python 3.11 to 3.13, and a package registry that pip can reach.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# Settings for the command line, such as `make run STUDY=studies/x.yaml CORES=4`.
STUDY ?=#          a config file whose keys replace those of config.yaml; empty: the default study
TARGET ?= all#     a rule or a file of the workflow
CORES ?= all#      number of cores that the workflow may use at once
PROFILE ?=#        a folder of profiles/ that says where jobs run, such as slurm; empty: here
PYTHON ?=#         the Python of the environment; empty: the first of python3.11 to python3.13, python3 that fits
VENV ?= .venv#     folder of the environment
ACCELERATOR ?=#    cuda (for TensorFlow) or jax-cuda: add NVIDIA's libraries to the environment, several GB
EXTRA ?=#          onnx: add the packages for ONNX exports to the environment
PYTEST_ARGS ?=#    more for pytest, such as -k, -m, -x or a path
SNAKEMAKE_ARGS ?=# more for Snakemake, such as --forcerun
RECOVER_ARGS ?=#   more for recover: --wait, or --ended HOST
PLAN_ARGS ?=#      more for cluster-plan, such as --all or --profile FOLDER
BENCH_ARGS ?=#     more for bench-training, such as --batch 128 --precision bfloat16

export PYTHON VENV ACCELERATOR EXTRA

# Modules of the user's own Python must not replace the locked ones, and what is compiled is kept from job to job.
unexport PYTHONPATH PYTHONHOME PYTHONDONTWRITEBYTECODE

py := $(VENV)/bin/python -m
# `python` in a rule's shell command is the environment's, too.
recover = PYTHONPATH=workflow/lib $(py) lambdascape recover
snakemake = PATH="$(abspath $(VENV))/bin:$$PATH" $(py) snakemake
# Tests of one file share a process, and so its fixtures; a process takes up to 2 GB.
one_process = PATH="$(abspath $(VENV))/bin:$$PATH" $(py) pytest -q -ra --durations=15
pytest = $(one_process) -n auto --maxprocesses 8 --dist loadfile --no-loadscope-reorder
# All tests on a cluster share one SLURM.
on_a_cluster = $(one_process) tests/cluster
# --configfile takes several values: nothing may follow it.
study = $(SNAKEMAKE_ARGS) $(if $(STUDY),--configfile "$(STUDY)")
# A profile sets how much runs at once; on a cluster the cores of the login node are no limit.
where = $(if $(PROFILE),--profile "profiles/$(PROFILE)" $(if $(filter all,$(CORES)),,--cores $(CORES)),--cores $(CORES))

.PHONY: help run dryrun report verify doctor recover cluster-plan check test test-all test-rest faults findings lint format reference docs lock env dev-env clean-env bench-features \
  bench-scale bench-input bench-training bench-dynamics bench-statistics bench-coverage bench-dimension bench-probes bench-similarity bench-start bench-report bench-viewer

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo
	@echo "Settings: STUDY=studies/x.yaml  TARGET=all  CORES=all  PYTHON=python3.11  ACCELERATOR=cuda  PYTEST_ARGS='-k store'"

.PHONY: study-exists
study-exists:
	@test -z "$(STUDY)" || test -f "$(STUDY)" || { \
	  echo "STUDY: must name a config file, such as $$(echo studies/*.yaml); there is none at $(STUDY)"; exit 2; }
	@test -z "$(STUDY)" || ! grep -q '^ *__use_yte__' "$(STUDY)" || { \
	  echo "STUDY: must be plain YAML; $(STUDY) asks for __use_yte__, by which Snakemake would run code in it"; exit 2; }

run: study-exists env ## run a study from audio to report (STUDY=, TARGET=, CORES=, PROFILE=)
	@$(recover) --if-idle
	@$(snakemake) $(TARGET) $(where) $(study)

dryrun: study-exists env ## list the jobs that `make run` would start, and why
	@$(snakemake) $(TARGET) $(where) --dry-run $(study)

report: study-exists env ## write Snakemake's own report, with run times and provenance, beside the results
	@mkdir -p results
	@$(snakemake) $(TARGET) --cores 1 --report results/snakemake-report.zip $(study)
	@echo "Snakemake's report: results/snakemake-report.zip"

verify: study-exists env ## compare all results with what their jobs recorded, and list faults (STUDY=; empty: all)
	@PYTHONPATH=workflow/lib $(py) lambdascape verify $(if $(STUDY),--study "$(STUDY)")

doctor: study-exists env ## list what this machine has, and problems (STUDY=)
	@PYTHONPATH=workflow/lib $(py) lambdascape doctor --study config.yaml $(if $(STUDY),"$(STUDY)")

recover: env ## after a crash or kill: end jobs that still run, unlock, remove half-written files (RECOVER_ARGS=--wait)
	@$(recover) $(RECOVER_ARGS)

cluster-plan: study-exists env ## report what a study needs on a cluster: jobs, hours, memory, disk (STUDY=, PROFILE=, PLAN_ARGS=--all)
	@PYTHONPATH=workflow/lib $(py) lambdascape plan --study config.yaml $(if $(STUDY),"$(STUDY)") \
	  $(if $(PROFILE),--profile "profiles/$(PROFILE)") $(PLAN_ARGS)

faults: dev-env ## inject every fault many times, and print a table of the results (PYTEST_ARGS=)
	@LAMBDASCAPE_LONG=1 $(pytest) -m fault $(PYTEST_ARGS)

check: dev-env ## check style, types and layers, and run the quick tests of the library: while you work
	$(py) ruff check
	$(py) ruff format --check
	$(py) mypy
	PYTHONPATH=workflow/lib $(VENV)/bin/lint-imports
	@$(pytest) --gear check $(PYTEST_ARGS)

test: dev-env ## run all tests but the long ones and those on a cluster (PYTEST_ARGS=)
	@$(pytest) --gear test $(PYTEST_ARGS)

test-all: dev-env ## run all tests, also the long ones and those on a cluster (PYTEST_ARGS=)
	@$(pytest) --gear all --ignore=tests/cluster $(PYTEST_ARGS)
	@$(on_a_cluster)

test-rest: dev-env ## run what `make test-all` has beyond `make test` (PYTEST_ARGS=)
	@$(pytest) --gear rest --ignore=tests/cluster $(PYTEST_ARGS)
	@$(on_a_cluster)

findings: dev-env ## list which findings of an audit have a test
	@$(py) pytest --findings --collect-only -q --no-header --no-summary $(PYTEST_ARGS) | grep -E '^[A-Z]+[0-9]+ '

lint: dev-env ## check style, types, imports, workflow files and spelling
	$(py) ruff check
	$(py) ruff format --check
	$(py) mypy
	PYTHONPATH=workflow/lib $(VENV)/bin/lint-imports
	$(py) snakefmt --check Snakefile workflow/Snakefile workflow/rules
	$(snakemake) --lint
	$(py) codespell_lib

docs: dev-env ## build the documentation as a site in build/docs, offline
	@PYTHONPATH=workflow/lib $(VENV)/bin/python docs/hooks.py
	@NO_MKDOCS_2_WARNING=1 $(py) mkdocs build --quiet
	@echo "Documentation: build/docs/index.html"

format: dev-env ## format Python and workflow files
	$(py) ruff check --fix
	$(py) ruff format
	$(py) snakefmt Snakefile workflow/Snakefile workflow/rules

reference: env ## write the references of the config, its schema and the command line, after a change of keys or commands
	@PYTHONPATH=workflow/lib $(py) lambdascape schema --write
	@PYTHONPATH=workflow/lib $(VENV)/bin/python docs/hooks.py

bench-features: env ## measure the speed of the features, compared with a plain loop
	@PYTHONPATH=workflow/lib $(VENV)/bin/python benchmarks/features.py --json results/benchmarks/features.json

bench-scale: env ## measure the cost of many clips and of a second worker
	@PYTHONPATH=workflow/lib $(VENV)/bin/python benchmarks/scale.py

bench-input: env ## measure the speed of reading triplets from the store, and its share of a training step
	@PYTHONPATH=workflow/lib $(VENV)/bin/python benchmarks/input.py --json results/benchmarks/input.json

bench-training: env ## measure the training step, compared with PyTorch (in an environment of its own) and sgemm
	@PYTHONPATH=workflow/lib $(VENV)/bin/python benchmarks/training.py --torch "$(VENV)-torch" \
	  --json results/benchmarks/training.json $(BENCH_ARGS)

bench-dynamics: env ## measure the cost of layer diagnostics in training
	@PYTHONPATH=workflow/lib $(VENV)/bin/python benchmarks/dynamics.py --json results/benchmarks/dynamics.json

bench-statistics: env ## measure the cost and precision of recomputed batch statistics (after make run)
	@PYTHONPATH=workflow/lib $(VENV)/bin/python benchmarks/batch_statistics.py --json results/benchmarks/batch_statistics.json

bench-coverage: env ## simulate the coverage of the intervals
	@PYTHONPATH=workflow/lib $(VENV)/bin/python benchmarks/intervals.py

bench-dimension: env ## simulate the error of estimates of the intrinsic dimension
	@PYTHONPATH=workflow/lib $(VENV)/bin/python benchmarks/dimension.py

bench-probes: env ## measure the cost of probes: 36,000 tiles to fit, and a million tiles in bounded memory
	@PYTHONPATH=workflow/lib $(VENV)/bin/python benchmarks/probes.py

bench-similarity: env ## measure the cost of comparing every two of 100 spaces
	@PYTHONPATH=workflow/lib $(VENV)/bin/python benchmarks/similarity.py --json results/benchmarks/similarity.json

bench-start: env ## measure the overhead of a start and of each job, on a study of 30 runs
	@PYTHONPATH=workflow/lib $(VENV)/bin/python benchmarks/start.py --json results/benchmarks/start.json

bench-report: dev-env ## measure the report of 30 runs: time, size, and loading time in a browser
	@PYTHONPATH=workflow/lib $(VENV)/bin/python benchmarks/page.py --json results/benchmarks/report.json

bench-viewer: dev-env ## measure the viewer at its largest, in a browser too
	@PYTHONPATH=workflow/lib $(VENV)/bin/python benchmarks/viewer.py --json results/benchmarks/viewer.json

lock: ## update envs/*.txt from pyproject.toml, keeping versions that still fit (UPGRADE=1: newest of all)
	@sh envs/lock

env: ## make or update the environment of the workflow
	@sh envs/install run

dev-env: ## the same, with the tools for tests, checks and documentation
	@sh envs/install dev

clean-env: ## remove the environment; the next command makes it again
	rm -rf "$(VENV)" "$(VENV).lock"
