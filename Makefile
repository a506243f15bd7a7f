# Every target does its own set-up; see scripts/setup. Machines other than Debian: it says what is missing.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo test test-pure faults e2e lint format bench bench-judge lock clean
export PATH := $(CURDIR)/.venv/bin:$(CURDIR)/.tools/bin:$(PATH):$(CURDIR)/.tools/go/go/bin
PYTEST := python -m pytest
TESTS ?= tests

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

demo: ## a bad release, caught and taken back (DEMO="--scenario good", "--json", …)
	@scripts/setup python
	@scripts/setup prometheus || echo "demo: going on without Prometheus: the scrape source reads the service itself" >&2
	@canary demo $(DEMO)

test: ## all tests, against a real Prometheus and a real PostgreSQL
	@scripts/setup python
	@without=""; for part in prometheus postgresql; do \
	  code=0; scripts/setup $$part || code=$$?; case $$code in \
	    0) ;; \
	    3) echo "test: going on with the tests that need no $$part" >&2; without="$${without:+$$without and }not $$part" ;; \
	    *) exit $$code ;; \
	  esac; \
	done; $(PYTEST) -m "$$without" $(TESTS)

test-pure: ## the tests that need neither Prometheus nor PostgreSQL
	@scripts/setup python
	$(PYTEST) -m "not prometheus and not postgresql" $(TESTS)

faults: ## 200 kills, and outages in their full length (at most 12 minutes; FAULTS="-k name")
	@scripts/setup python prometheus postgresql
	@mkdir -p .cache
	$(PYTEST) tests/faults --faults-full -n 4 --basetemp .cache/faults $(FAULTS)

e2e: ## tests on a real control plane, Helm and Argo Rollouts (E2E="-k name"; the first time takes twelve minutes)
	@scripts/setup python prometheus postgresql cluster
	@tests/cluster/enter python -m tests.cluster $(E2E)

lint: ## ruff, mypy, import-linter, shell
	@scripts/setup python
	ruff format --check .
	ruff check .
	mypy
	lint-imports

format: ## rewrite the code in the house format
	@scripts/setup python
	ruff format .
	ruff check --fix .

bench: ## the judge's tables (1,000 runs a cell), the engine's costs, the service under load, answers to controllers, what watching takes (20 minutes)
	@scripts/setup python prometheus
	python -m bench

bench-judge: ## the judge's tables with 10,000 runs a cell
	@scripts/setup python
	python -m bench judge --runs 10000

lock: ## write constraints.txt anew from pyproject.toml (needs uv)
	uv pip compile pyproject.toml --group dev --all-extras --universal --python-version 3.11 --upgrade \
	  --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate -q -o constraints.txt

clean: ## remove what set-up and runs have left
	rm -rf .venv .tools .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache build dist
