# Every target works alone: it makes what it needs first. Needs Python >= 3.11, git and make; nothing else.
PYTHON ?= python3
BIN := .venv/bin
JOBS ?= 2
# mkdocs-material prints advice about its successor on every build otherwise.
export NO_MKDOCS_2_WARNING := true
CODE := src tests examples scripts benchmarks

.DEFAULT_GOAL := help
.PHONY: help venv starter studies demo test check format docs bench soak train-starter freeze clean

help: ## Say what each target does
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

venv: ## Make .venv and install everything at the pinned versions (a second run is instant)
	@command -v $(PYTHON) >/dev/null || { echo "make: no $(PYTHON) here. Install Python 3.11 or newer, or: make PYTHON=/path/to/python" >&2; exit 2; }
	@$(PYTHON) scripts/environment.py

starter: venv ## Fetch the starter's base weights (183 MB, once) into the user's cache
	@$(BIN)/vesalius starter install --yes

studies: venv ## Fetch real sample studies (once) into .cache/studies
	@$(BIN)/python examples/fetch_studies.py

demo: starter studies ## Ask the starter about phantoms and real studies; writes out/demo
	@$(BIN)/python examples/demo.py

test: starter ## Run the tests
	@$(BIN)/python -m pytest -n $(JOBS)

check: venv ## Lint, format, types, import floors and documentation
	@$(BIN)/ruff check $(CODE)
	@$(BIN)/ruff format --check $(CODE)
	@$(BIN)/lint-imports
	@$(BIN)/pyright
	@$(BIN)/mkdocs build --strict --quiet

format: venv ## Put the code into its format
	@$(BIN)/ruff check --fix $(CODE)
	@$(BIN)/ruff format $(CODE)

docs: venv ## Build the documentation into site/
	@$(BIN)/mkdocs build --strict

bench: starter studies ## Measure Vesalius beside other libraries
	@for file in benchmarks/[a-z]*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done
	@echo "== benchmarks.starter"; $(BIN)/python -m benchmarks.starter

soak: venv ## Kill training runs (supervised, preference, reinforcement) and compare them with runs left alone
	@$(BIN)/python scripts/soak_resume.py

train-starter: starter studies ## Train the starter again from its base weights
	@$(BIN)/python scripts/fetch_colin27.py
	@$(BIN)/vesalius train recipes/starter.yaml

freeze: venv ## Write constraints.txt from what .venv holds
	@$(BIN)/python scripts/freeze.py

clean: ## Remove what the targets made, the environment too
	rm -rf .venv .cache site out .pytest_cache .ruff_cache .import_linter_cache
