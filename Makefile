# The commands of this project; `make` alone lists them. Everything is installed into .venv, nothing outside of it.
# `make test PYTHON=python3.12` says by which Python. Paths are relative, so the project may lie in a directory with blanks in its name.

PY := .venv/bin/python
ARGS ?=
PYTHON ?= python3.13 python3.12 python3.11 python3 python
LOCK := $(PY) -m uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
  --no-annotate --custom-compile-command "make lock"

.DEFAULT_GOAL := help
.PHONY: help demo test check bench chaos lock clean

help: ## lists these commands
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 16

demo: .venv/requirements.stamp ## runs the bot with a local Slack workspace (options: make demo ARGS="--apis my.yaml --fresh --port 8900")
	@exec $(PY) -m demo $(ARGS)

test: .venv/requirements-dev.stamp ## runs the tests
	@exec $(PY) -m pytest -q -n 6 --dist loadgroup $(ARGS)

check: .venv/requirements-dev.stamp ## lints, checks the format and the types
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy

bench: .venv/requirements-dev.stamp ## measures
	@exec $(PY) -m bench $(ARGS)

chaos: .venv/requirements-dev.stamp ## breaks everything around three processes under load, and counts what must be 0 (make chaos ARGS="--minutes 30")
	@exec $(PY) -m tests.chaos $(ARGS)

lock: .venv/bin/python ## renews the lock files within the ranges of requirements*.txt
	@$(PY) -m pip install --quiet --disable-pip-version-check "uv>=0.13.9,<0.14"
	@$(LOCK) requirements.txt -o requirements.lock
	@$(LOCK) -c requirements.lock requirements-dev.txt -o requirements-dev.lock

clean: ## removes .venv, caches and the demo's data
	rm -rf .venv demo-data .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A candidate counts only if it runs, since a version manager may put names on the PATH that lead nowhere, and if it can make virtual
# environments, which Debian's needs a package for.
.venv/bin/python:
	@found= can_make=; for python in $(PYTHON); do \
	  "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 || continue; \
	  found="$${found:-$$python}"; \
	  if "$$python" -c 'import venv, ensurepip' >/dev/null 2>&1; then found="$$python"; can_make=yes; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	  echo "Python 3.11 or newer is needed; found: $$(python3 --version 2>&1 || echo none)." >&2; exit 1; \
	fi; \
	if [ -z "$$can_make" ]; then \
	  version=$$("$$found" -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
	  echo "$$found cannot make virtual environments: its venv module is missing." >&2; \
	  echo "Install it; on Debian or Ubuntu: sudo apt install python$$version-venv" >&2; exit 1; \
	fi; \
	echo "Making .venv with $$("$$found" --version) ..."; \
	"$$found" -m venv --clear .venv || { rm -rf .venv; exit 1; }

.venv/%.stamp: %.lock .venv/bin/python
	@echo "Installing $< ..."
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@
