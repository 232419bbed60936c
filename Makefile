# make lab, make test and what `make help` names: each sets up .venv by itself.
# On Windows, or without make: the same commands stand in README.md.
PYTHON ?= python3
VENV_PYTHON := .venv/bin/python

.PHONY: help setup lab test run bench refresh badges size site class-branch

help:
	@echo "make lab [ARGS=\"--port=9999\"]           open the course in JupyterLab"
	@echo "make test                             style, unit and browser tests, every notebook"
	@echo "make run [PARAMS=\"fast=true seed=1\"]  run the course, print time and memory"
	@echo "make bench [NAMES=\"fit inversion\"]    speed, each figure beside that of a peer"
	@echo "make refresh [NOTEBOOK=notebooks/...] run notebooks in place, as they are committed"
	@echo "make badges [SLUG=owner/name] [REVISION=main]   launch badges, links for a hub, set-up cells"
	@echo "make class-branch                     a branch without outputs, which a class can pull"
	@echo "make size                             lines of code by folder"
	@echo "make site                             the course as pages to read and a page to play: build/site"

setup:
	@$(PYTHON) -m tools.setup

lab: setup
	@$(VENV_PYTHON) -m jupyterlab --LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb $(if $(filter 0,$(shell id -u)),--allow-root) $(ARGS)

test: setup
	@$(VENV_PYTHON) -m tools.check

run: setup
	@$(VENV_PYTHON) -m tools.run $(PARAMS)

bench: setup
	@$(VENV_PYTHON) -m benchmarks.run $(NAMES)

refresh: setup
	@$(VENV_PYTHON) -m tools.run --inplace $(NOTEBOOK)

badges: setup
	@$(VENV_PYTHON) -m tools.badges $(if $(SLUG),SLUG=$(SLUG)) $(if $(REVISION),REVISION=$(REVISION))

class-branch: setup
	@$(VENV_PYTHON) -m tools.class_branch

size: setup
	@$(VENV_PYTHON) -m tools.size

site: setup
	@$(VENV_PYTHON) -m tools.site
