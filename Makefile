# One command for each habit. `make` alone lists them.

PY := .venv/bin/python

help:            ## this list
	@sed -n 's/^\([a-z]*\): .*## /  make \1\t/p' Makefile

setup:           ## Debian packages that are missing, .venv, the package with its launcher
	@sh scripts/setup.sh

demo: setup      ## an image becomes a running container: wherry's command line, then docker's
	@$(PY) -m scripts.demo

test: setup      ## all tests, on real daemons in namespaces of their own
	@$(PY) -m pytest $(TESTS)

check: setup     ## format, lint, types, layering, and the launcher without a warning
	@sh scripts/check.sh

bench: setup     ## beside Debian's engines, in one run; BENCH=--write keeps the table in docs/performance.md
	@$(PY) -m benchmarks $(BENCH)

docs: setup      ## the references of docs/ that come from the code
	@$(PY) -m scripts.docs
	@$(PY) -m scripts.how_it_works

lock: setup      ## pin the newest versions that pyproject.toml allows, with their hashes
	@sh scripts/lock.sh

clean:           ## what was built or cached
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache src/*.egg-info src/wherry/_bin
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

.PHONY: help setup demo test check bench docs lock clean
