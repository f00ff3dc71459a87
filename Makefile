# Each target sets up everything it needs, also on a fresh Debian. The scripts explain what they do.
# `make test WITHOUT=kafka` leaves a service out; `make test ARGS="tests/rules -k path"` runs only these tests.

.DEFAULT_GOAL := help
.PHONY: help demo test bench quality docs clean

export WITHOUT ARGS DB JOBS PYTHON

help: ## Show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1|/' | awk -F'|' '{printf "make %-8s %s\n", $$1, $$2}'

demo: ## See events become badges, with nothing but Python [ARGS="--bus redis"]
	@scripts/debian python3 python3-venv $(if $(findstring redis,$(ARGS)),redis-server)
	@scripts/venv service
	@.venv/bin/python manage.py demo $(ARGS)

test: ## Run all tests on real servers [WITHOUT=kafka] [ARGS="tests/rules -k path"] [DB=sqlite]
	@scripts/test

bench: ## Measure events, criteria and certificates per second, in about 20 minutes [ARGS="--help"]
	@scripts/bench

quality: ## Check style, layers, types, migrations, personal data and packaging
	@scripts/quality

docs: ## Build the documentation into docs/_build
	@scripts/debian python3 python3-venv python3-dev gcc pkg-config default-libmysqlclient-dev
	@scripts/venv dev
	@.venv/bin/python -m sphinx -W --keep-going -q -b html docs docs/_build
	@echo "docs/_build/index.html"

clean: ## Remove everything that was made here
	rm -rf .venv .venv-3.12 .venv-bench .cache .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis build dist var docs/_build *.egg-info
	find badges credentials_config service tests -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true
