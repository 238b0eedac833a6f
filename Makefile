# The course's commands. `make` alone lists them. On Windows: see "Without make" in README.md.
PYTHON ?= python3
BIN := .venv/bin
AS_ROOT := $(if $(filter 0,$(shell id -u)),--allow-root)
export HF_HUB_DISABLE_TELEMETRY = 1

.PHONY: help setup lab test course slides pretrain bench data notebooks readme lock

help:
	@echo "make lab      open the course in JupyterLab (sets everything up the first time)"
	@echo "make test     lint, unit tests, and every notebook rerun and compared"
	@echo "make course   run all notebooks, write readable HTML to build/course/"
	@echo "make slides   draw the figures and build each deck as HTML and PDF in build/slides/"
	@echo "make pretrain CORPUS=mine.txt   pre-train a BERT on your text (MINUTES=30 OUTPUT=build/mine RESUME=1)"
	@echo "make bench    race the course's recipes against stock ones (long; needs public data)"
	@echo "make data     build the derived data, validate all of it, rewrite the cards' tables (for authors)"
	@echo "make notebooks  rerun the notebooks and store their outputs (for authors)"
	@echo "make readme   rewrite the README's table, badges and bootstrap cells (for authors)"
	@echo "make lock     regenerate requirements.txt (for maintainers)"

setup:
	@$(PYTHON) tools/setup_environment.py

lab: setup
	@$(BIN)/jupyter lab --ip=127.0.0.1 $(AS_ROOT) --LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb

test: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@BERT_WORKSHOP_MINUTES=$${BERT_WORKSHOP_MINUTES:-0.75} $(BIN)/python -m pytest tests notebooks --nbval-lax --nbval-sanitize-with=tests/sanitize.cfg --nbval-cell-timeout=600

course: setup
	@$(BIN)/python tools/course.py

slides: setup
	@$(BIN)/python tools/slides.py

pretrain: setup
	@$(BIN)/python -m utils.pretraining --corpus $(or $(CORPUS),docs) --minutes $(or $(MINUTES),3) --output $(or $(OUTPUT),build/pretrained) $(if $(RESUME),--resume)

bench: setup
	@$(BIN)/python benchmarks/finetuning.py --dataset sst2 --rows 1000 --seeds 3 --json build/bench/finetuning_sst2.json
	@$(BIN)/python benchmarks/finetuning.py --dataset imdb --rows 1000 --seeds 3 --json build/bench/finetuning_imdb.json
	@$(BIN)/python benchmarks/finetuning.py --dataset sst2 --rows 0 --seeds 1 --only course --json build/bench/finetuning_sst2_all.json
	@$(BIN)/python benchmarks/pretraining.py --minutes 3 --json build/bench/pretraining.json
	@$(BIN)/python benchmarks/pretraining.py --only parts memory --json build/bench/pretraining_parts.json
	@$(BIN)/python benchmarks/checkpoint.py --seeds 3 --json build/bench/checkpoint.json

data: setup
	@$(BIN)/python tools/build_data.py
	@$(BIN)/python tools/validate_data.py
	@$(BIN)/python tools/cards.py

notebooks: setup
	@$(BIN)/python tools/course.py --store

readme: setup
	@$(BIN)/python tools/readme.py

lock: setup
	@$(BIN)/python tools/lock.py
