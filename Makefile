# make lab, make test and what `make help` names: each sets up .venv by itself.
# On Windows, or without make: the same commands stand in README.md.
PYTHON ?= python3
VENV_PYTHON := .venv/bin/python

.PHONY: help setup lab test run bench refresh badges colab bundle matrix site

help:
	@echo "make lab [ARGS=\"--port=9999\"]           open the course in JupyterLab"
	@echo "make test                             style, unit tests, every notebook, the browser tests"
	@echo "make run [PARAMS=\"fast=true seed=1\"]  run the course, write build/index.html, print time and memory"
	@echo "make bench [NAMES=\"fit furniture\"]    speed, each figure beside that of a peer"
	@echo "make refresh [NOTEBOOK=notebooks/...] run notebooks in place, as they are committed"
	@echo "make badges [SLUG=owner/name] [REVISION=main]   launch badges and set-up cells"
	@echo "make colab [NOTEBOOK=notebooks/...]   run notebooks as Colab does (needs Python 3.13 and 6 GB)"
	@echo "make matrix [NAMES=\"3.12 lowest\"]    unit tests and a notebook on other Pythons, one after another (7 GB each)"
	@echo "make site                             the course as pages to read and a page to play: build/site"
	@echo "make bundle                           the folder offline: with it make lab needs no network elsewhere"

setup:
	@$(PYTHON) -m tools.setup

lab: setup
	@$(VENV_PYTHON) -m tools.lab $(ARGS)

test: setup
	@$(VENV_PYTHON) -m tools.check

run: setup
	@$(VENV_PYTHON) -m tools.run $(PARAMS)

bench: setup
	@$(VENV_PYTHON) -m benchmarks.run $(NAMES)

refresh: setup
	@$(VENV_PYTHON) -m tools.refresh $(NOTEBOOK)

badges: setup
	@$(VENV_PYTHON) -m tools.badges $(if $(SLUG),SLUG=$(SLUG)) $(if $(REVISION),REVISION=$(REVISION))

colab: setup
	@$(VENV_PYTHON) -m tools.colab $(NOTEBOOK)

bundle: setup
	@$(VENV_PYTHON) -m tools.bundle

matrix: setup
	@$(VENV_PYTHON) -m tools.matrix $(NAMES)

site: setup
	@$(VENV_PYTHON) -m tools.site $(ARGS)
