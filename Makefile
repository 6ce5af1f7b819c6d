# Two commands on a fresh machine: `make run` and `make test`. Each installs what it needs, once.

PYTHON ?= python3
PORT ?= 8000
ARGS ?=
PIP = .venv/bin/python -m pip install --quiet --disable-pip-version-check
PYTEST = .venv/bin/python -m pytest $(ARGS)

.PHONY: help run test check check-format check-lint check-types check-migrations check-layers
.PHONY: test-services client bench bench-site bench-live pictures browser format fuzz kills

help:
	@echo "make run            the site at http://127.0.0.1:8000 (PORT=8001 for another port)"
	@echo "make test           all tests, in real Chromium too (ARGS='-k name' for some of them)"
	@echo "make check          format, lint, types, layers"
	@echo "make test-services  the tests on PostgreSQL"
	@echo "make client         the published clients that comparisons run against"
	@echo "make bench          the benchmark"
	@echo "make bench-site     the benchmark of the whole way: upload, page, store, list"
	@echo "make bench-live     the benchmark of live traces: from a line on disk to the screen, idle, readers"
	@echo "make fuzz           random damage for everything that reads foreign bytes (SECONDS=600)"
	@echo "make kills          kill -9 of the server at 30 random moments of an upload"

run: .venv/installed-run
	@.venv/bin/python manage.py migrate --verbosity 0
	@exec .venv/bin/python manage.py serve --port $(PORT)

test: .venv/installed-dev browser
	$(PYTEST)

# Each is a target of its own, so that `make -k check` tells everything at once.
check: check-format check-lint check-types check-migrations check-layers

check-format: .venv/installed-dev
	.venv/bin/ruff format --check .

check-lint: .venv/installed-dev
	.venv/bin/ruff check .

check-types: .venv/installed-dev
	.venv/bin/mypy manage.py conftest.py tracesite traces bin $(wildcard bench)

check-migrations: .venv/installed-dev
	.venv/bin/python manage.py makemigrations --check --dry-run --verbosity 0

check-layers: .venv/installed-dev
	.venv/bin/python -m pytest --quiet traces/tests/test_layers.py

# Comparisons with the client and slow builds touch no database: once, in `make test`, is enough.
test-services: .venv/installed-dev browser
	.venv/bin/python bin/with_postgresql.py $(PYTEST) -m "not client and not slow"

client:
	@bin/client 0.164.0 0.169.0

bench: .venv/installed-run
	.venv/bin/python -m bench.reduce $(ARGS)

bench-site: .venv/installed-dev browser
	.venv/bin/python -m bench.site $(ARGS)

bench-live: .venv/installed-dev browser
	.venv/bin/python -m bench.live $(ARGS)

# What it finds lies in var/fuzz with its traceback; the same SEED finds it again.
fuzz: SECONDS = 600
fuzz: SEED = 1
fuzz: .venv/installed-dev
	.venv/bin/python -m traces.tests.hostile.fuzz --seconds $(SECONDS) --seed $(SEED)

kills: .venv/installed-dev
	TRACESITE_TEST_KILLS=30 $(PYTEST) traces/tests/hostile/test_killed.py traces/tests/hostile/test_killed_live.py

# The pictures in docs/ are taken of the real site with real recordings.
pictures: .venv/installed-dev browser
	.venv/bin/python bin/pictures.py

browser:
	@bin/browser

format: .venv/installed-dev
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

# Each of these files is as new as the requirements that were installed last.
.venv/installed-run: requirements.txt | .venv/bin/python
	$(PIP) -r requirements.txt
	@touch $@

.venv/installed-dev: requirements-dev.txt requirements.txt | .venv/bin/python
	$(PIP) -r requirements-dev.txt
	@touch $@ .venv/installed-run

.venv/bin/python:
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 or newer is needed: on Debian or Ubuntu, apt install python3 python3-venv"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed, $(PYTHON) is older: name another one with PYTHON="; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "Python's venv module is missing: on Debian or Ubuntu, apt install python3-venv"; exit 1; }
	@$(PYTHON) -m venv .venv
