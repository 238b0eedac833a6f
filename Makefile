# The course's commands. `make` alone lists them. On Windows: see "Without make" in README.md.
PYTHON ?= python3
BIN := .venv/bin
export HF_HUB_DISABLE_TELEMETRY = 1

.PHONY: help setup lab test course bench notebooks readme lock

help:
	@echo "make lab      open the course in JupyterLab (sets everything up the first time)"
	@echo "make test     lint, unit tests, and every notebook rerun and compared"
	@echo "make course   run all notebooks, write readable HTML to build/course/"
	@echo "make bench    race the course's recipes against stock ones (long; needs public data)"
	@echo "make notebooks  rerun the notebooks and store their outputs (for authors)"
	@echo "make readme   rewrite the README's table, badges and bootstrap cells (for authors)"
	@echo "make lock     regenerate requirements.txt (for maintainers)"

setup:
	@$(PYTHON) tools/setup_environment.py

lab: setup
	@$(BIN)/python tools/lab.py

test: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/python tools/run_tests.py

course: setup
	@$(BIN)/python tools/course.py

bench: setup
	@$(BIN)/python benchmarks/finetuning.py --dataset sst2 --rows 1000 --seeds 3 --json build/bench/finetuning_sst2.json
	@$(BIN)/python benchmarks/finetuning.py --dataset imdb --rows 1000 --seeds 3 --json build/bench/finetuning_imdb.json

notebooks: setup
	@$(BIN)/python tools/execute.py

readme: setup
	@$(BIN)/python tools/readme.py

lock: setup
	@$(BIN)/python tools/lock.py
