# What to do with this package without knowing its insides: `make help`.

# The interpreter; empty: the first suitable one, or the one that imports rclpy where ROS 2 is sourced.
PYTHON ?=
# What pip is told to install torch with. An index goes in here too:
#   make test TORCH="torch==2.13.0 --index-url URL_OF_AN_INDEX"
TORCH ?= torch==2.13.0
# Data of the demo: `sample`, or `astyx` with ASTYX=PATH.
DATA ?= sample
ASTYX ?= ../shared/data/astyx
OUT ?= out/demo
# The detector of the demo, as `mm-fusion run --model` takes it; empty: as the vehicle file says.
MODEL ?=
# The queue of experiments: its plan, folders of data as NAME=DIR, where results go, and what of it is done.
PLAN ?= config/experiments.yaml
FOLDERS ?=
EXPERIMENTS ?= out/experiments
BUDGET ?= small
MINUTES ?=
ONLY ?= *
# More arguments for pytest, such as PYTEST_ARGS="-k geometry".
PYTEST_ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
export PYTHON
export ROS_LOG_DIR ?= $(CURDIR)/out/log
ENVIRONMENT = set -e; python=$$(tools/find_python.sh); "$$python" tools/environment.py --torch "$(TORCH)"

.PHONY: help demo test lint types gpu-check experiments environment clean

help: ## Show these targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F '\t' '{printf "  make %-12s %s\n", $$1, $$2}'

demo: $(VENV)/run ## Play a recording through real nodes; results in out/demo (DATA=astyx for real runs)
	$(BIN)/python -m mm_fusion.nodes.demo --data $(DATA) --astyx "$(ASTYX)" --out "$(OUT)" --model "$(MODEL)"

test: $(VENV)/test ## Run the whole test suite
	ROS_PYTHON_CHECK_FIELDS=1 $(BIN)/python -m pytest $(PYTEST_ARGS)

lint: $(VENV)/test types ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/test ## Check types alone
	$(BIN)/mypy mm_fusion

gpu-check: $(VENV)/test ## Build engines on an NVIDIA GPU, check and time every backend (MODEL=NAME)
	$(BIN)/python tools/gpu_check.py $(MODEL)
	$(BIN)/python -m pytest -m gpu $(PYTEST_ARGS)

experiments: $(VENV)/test ## Train and score all of a plan, going on where it stopped (FOLDERS="sim=DIR ..." MINUTES=25)
	$(BIN)/python tools/experiments.py --plan "$(PLAN)" --data $(FOLDERS) --out "$(EXPERIMENTS)" \
		--budget "$(BUDGET)" $(if $(MINUTES),--minutes $(MINUTES)) --only $(foreach job,$(ONLY),'$(job)')

environment: $(VENV)/run ## Only make .venv for running

# Never files: the script compares its own stamp, which takes a moment when nothing changed.
.PHONY: $(VENV)/run $(VENV)/test
$(VENV)/run:
	@$(ENVIRONMENT) run
	@mkdir -p "$(ROS_LOG_DIR)"

$(VENV)/test:
	@$(ENVIRONMENT) test
	@mkdir -p "$(ROS_LOG_DIR)"

clean: ## Remove .venv, results and caches (not the cached interface wheel)
	rm -rf $(VENV) out build install log .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
