# minijmap's verbs. `make` alone lists them. Everything lives in .venv; paths are relative, so a checkout path may have spaces.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help run test check format bench clean

PYTHON ?= python3
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
PY := .venv/bin/python

# One stamp for each set of packages. The version is in the name: another Python means another environment.
RUN := .venv/.ready-$(VERSION)
TEST := .venv/.ready-$(VERSION)-test
CHECK := .venv/.ready-$(VERSION)-test-check

help:  ## list what can be made
	@sed -n 's/^\([a-z]*\):[^#]*## /make \1	/p' Makefile | expand -t 14

run: $(RUN)  ## a throwaway server with demo data (options: ARGS="--http 127.0.0.1:9000")
	@exec $(PY) -m minijmap dev $(ARGS)

test: $(TEST)  ## the tests (a part: ARGS="tests/mail -x")
	@exec $(PY) -m pytest $(ARGS)

check: $(CHECK)  ## lint, format, types and the tests: what must pass before a commit
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(PY) -m pytest $(ARGS)

format: $(CHECK)  ## let ruff format and repair what it can
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

bench: $(RUN)  ## measure a running server (another one: ARGS="--url ... --user ... --password ...")
	@exec $(PY) -m tests.bench $(ARGS)

clean:  ## remove the environment and all caches
	rm -rf .venv build dist minijmap.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find minijmap tests -name __pycache__ -type d -prune -exec rm -rf {} +

# Two makes at once (`make run` here, `make test` there) take turns: the Makefile itself is the lock, where flock exists.
LOCK := $(if $(shell command -v flock 2>/dev/null),flock Makefile,)

$(RUN): EXTRAS :=
$(RUN): STAMPS := $(RUN)
$(TEST): EXTRAS := [test]
$(TEST): STAMPS := $(RUN) $(TEST)
$(CHECK): EXTRAS := [test,check]
$(CHECK): STAMPS := $(RUN) $(TEST) $(CHECK)
$(RUN) $(TEST) $(CHECK): pyproject.toml
	@$(PYTHON) -c '' 2>/dev/null || \
	  { echo 'minijmap needs Python 3.11 or newer: sudo apt install python3 python3-venv' >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo 'minijmap needs Python 3.11 or newer, $(PYTHON) is $(VERSION): sudo apt install python3.11 python3.11-venv, then make PYTHON=python3.11' >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
	  { echo 'minijmap needs the venv module of $(PYTHON): sudo apt install python3-venv' >&2; exit 1; }
	@$(LOCK) sh -c '[ "$$1" -nt pyproject.toml ] && exit; set -e; \
	  [ "$$($(PY) -c "import pip, sys; print(\"%d.%d\" % sys.version_info[:2])" 2>/dev/null)" = "$(VERSION)" ] \
	    || $(PYTHON) -m venv --clear .venv; \
	  echo "installing minijmap$$2 into .venv" >&2; \
	  $(PY) -m pip install --quiet --disable-pip-version-check --editable ".$$2"; \
	  touch $(STAMPS)' sh '$@' '$(EXTRAS)'
