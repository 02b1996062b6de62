# One name for each thing one does here. `make` alone lists them; CI calls the same names.
#
# Variables: VENV (.venv), PYTHON (interpreters to try), STORE (models/store), DATA (for train),
# RUN_FOLDER (runs/latest, for report), WARM_ARGS (for warm), LOAD_ARGS (for load), BENCH_ARGS (for bench),
# TRAIN_ARGS (for train and retrain),
# EVENTS and EXPORT_ARGS (for export-events), DRILL_ARGS (for drill-events, drill-alerts and drill-faults),
# PROMOTION_ARGS (for drill-promotion), EVALUATE_ARGS (for report with DATA),
# EXPERIMENTS_ARGS and MONITORING_ARGS (for simulate),
# DEMO_SIZE (of the shop that up generates), TEST_ARGS and TEST_PROCESSES (for test), FUZZ_ARGS (for fuzz).
# STILLROOM_* in the environment reach the service unchanged.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV ?= .venv
PYTHON ?= python3.11 python3.12 python3.13 python3
DATA ?=
RUN_FOLDER ?= runs/latest
TRAIN_ARGS ?=
EVALUATE_ARGS ?=
EXPERIMENTS_ARGS ?=
MONITORING_ARGS ?=
WARM_ARGS ?=
LOAD_ARGS ?=
BENCH_ARGS ?=
EVENTS ?= data/events
EXPORT_ARGS ?=
DRILL_ARGS ?=
PROMOTION_ARGS ?=
TEST_ARGS ?=
TEST_PROCESSES ?= 2
# Tests that only compute run beside each other; those that talk to processes, or count time, run one by one.
COMPUTED := tests/models tests/training tests/stillroom tests/examples
FUZZ_ARGS ?=
DEMO_SIZE ?= --people 2000 --items 1000 --seed 0
# At once, since STILLROOM_STORE is set from it below.
ifndef STORE
STORE := $(or $(STILLROOM_STORE),models/store)
endif

export OMP_NUM_THREADS ?= 2
export OMP_WAIT_POLICY ?= passive
export ORT_DISABLE_TELEMETRY ?= 1
up serve warm load export-events: export STILLROOM_STORE = $(STORE)

PY := $(VENV)/bin/python
PIP_INSTALL := $(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt
RUN_ENV := $(VENV)/.installed-training
FULL_ENV := $(VENV)/.installed-everything
say = @printf '\033[1m%s\033[0m\n' $(1)

.PHONY: help up test check train retrain report simulate serve warm load bench export-events drill-events drill-promotion drill-alerts drill-faults fuzz compose-test openapi pictures clean

help: ## List these targets
	@sed -nE 's/^([a-z-]+):.*## (.*)$$/\1|\2/p' Makefile | while IFS='|' read -r name line; do \
		printf '  make %-15s %s\n' "$$name" "$$line"; done

up: $(RUN_ENV) ## Train on a generated shop if nothing is promoted yet, then serve on port 8000; needs nothing else
	@$(PY) -m service.process.listening
	@PATH="$(abspath $(VENV))/bin:$$PATH" deploy/fill-store.sh '$(STORE)' data runs $(DEMO_SIZE)
	@body=$$($(PY) -m models ids --people --limit 1 --store '$(STORE)' | $(PY) -c '$(quote_question)'); \
	url=http://127.0.0.1:$${STILLROOM_PORT:-8000}; \
	echo "up: serving $$(head -n 1 '$(STORE)/current') at $$url (API: /docs, metrics: /metrics); Ctrl-C stops it"; \
	echo 'up: it answers once the bundle is in service; then ask from another terminal:'; \
	printf "\n  curl -s %s/recommend -H 'content-type: application/json' -d %s\n\n" "$$url" "$$body"
	@exec $(PY) -m service

test: $(FULL_ENV) ## Run the tests
	$(call say,'test: pytest; a failure names the behaviour that broke')
ifneq ($(strip $(TEST_ARGS)),)
	@$(PY) -m pytest $(TEST_ARGS)
else
	@rc=0; $(PY) -m pytest -n $(TEST_PROCESSES) --dist loadfile $(COMPUTED) || rc=$$?; \
	$(PY) -m pytest $(addprefix --ignore ,$(COMPUTED)) || rc=$$?; exit $$rc
endif

check: $(FULL_ENV) ## Check lint, formatting and types; `make test` checks that committed documents match the code
	$(call say,'check: ruff check')
	@$(PY) -m ruff check .
	$(call say,'check: ruff format')
	@$(PY) -m ruff format --check .
	$(call say,'check: mypy --strict')
	@$(PY) -m mypy
	$(call say,'check: all clean')

train: $(RUN_ENV) ## Train on DATA=file-or-folder, write a bundle and promote it
	@if [ -z '$(DATA)' ]; then \
		echo 'error: say what to train on: make train DATA=path/to/events.csv (a file or a folder)' >&2; exit 2; fi
	$(call say,'train: $(DATA) -> $(STORE); figures under runs/latest')
	@$(PY) -m training train '$(DATA)' --store '$(STORE)' $(TRAIN_ARGS)

retrain: $(RUN_ENV) ## Train on DATA and the exported EVENTS, compare with the current bundle, promote if not worse
	@if [ -z '$(DATA)' ]; then \
		echo 'error: say what the history is: make retrain DATA=path/to/events.csv (EVENTS=data/events is added)' >&2; exit 2; fi
	$(call say,'retrain: $(DATA) and $(EVENTS) -> $(STORE)')
	@$(PY) -m training retrain '$(DATA)' $(if $(EVENTS),--events '$(EVENTS)') --store '$(STORE)' $(TRAIN_ARGS)

report: $(RUN_ENV) ## Evaluate DATA=file-or-folder under every protocol, or use the latest run, and write reports/
	@if [ -n '$(DATA)' ]; then \
		printf '\033[1m%s\033[0m\n' 'report: measuring on $(DATA); an hour at most on two cores, minutes with EVALUATE_ARGS=--quick'; \
		$(PY) -m training evaluate '$(DATA)' $(EVALUATE_ARGS); fi
	$(call say,'report: $(RUN_FOLDER) -> reports/')
	@$(PY) -m training report --run '$(RUN_FOLDER)' --out reports

simulate: $(RUN_ENV) ## Simulate experiments and a shop that changes, for the next report; takes a quarter of an hour
	$(call say,'simulate: experiments and then a monitored shop -> reports/experiments.json and monitoring.json')
	@$(PY) -m training simulate-experiments --out reports $(EXPERIMENTS_ARGS)
	@$(PY) -m training simulate-monitoring --out reports $(MONITORING_ARGS)

serve: $(RUN_ENV) ## Serve the promoted bundle, or popular items before the first one; settings are STILLROOM_* variables
	$(call say,'serve: the current bundle (popular items of the events before the first one); settings from STILLROOM_*')
	@exec $(PY) -m service

warm: $(RUN_ENV) ## Fill Redis (STILLROOM_REDIS_URL) with the people of the current bundle; newer entries stay
	@exec $(PY) -m service.people.warm $(WARM_ARGS)

load: $(FULL_ENV) ## Start a service and a Redis, and test them against the SLA under load; writes reports/load.json
	@mkdir -p reports
	@$(PY) -m models ids --people --limit 20000 --store '$(STORE)' >reports/load-people.txt
	@$(PY) -m models ids --items --limit 20000 --store '$(STORE)' >reports/load-items.txt
	$(call say,'load: Locust at a constant rate; result in reports/load.json')
	@$(PY) -m loadtest --people reports/load-people.txt --items reports/load-items.txt $(LOAD_ARGS)

bench: $(FULL_ENV) ## Compare speed and scale with an echo and other stacks; half an hour, BENCH_ARGS=--quick is shorter; reports/bench.json
	$(call say,'bench: keeps bundles in data/bench and peers in .venv-peers; result in reports/bench.json and bench.html')
	@$(PY) -m loadtest.bench $(BENCH_ARGS)

export-events: $(RUN_ENV) ## Export the live log to Parquet under EVENTS (data/events), each event once; train reads it as DATA
	@$(PY) -m service.log.export --out '$(EVENTS)' $(EXPORT_ARGS)

drill-events: $(FULL_ENV) ## Kill Redis, workers and the service while events arrive; none may be lost; writes reports/events.json
	$(call say,'drill-events: a minute of 500 events a second; result in reports/events.json')
	@$(PY) -m loadtest.events --store '$(STORE)' $(DRILL_ARGS)

drill-alerts: $(FULL_ENV) ## Make faults under the real Prometheus and Alertmanager; Slack, email and SMS must be notified; reports/alerts.json
	@mkdir -p reports
	@PATH="$(abspath $(VENV))/bin:$$PATH" deploy/fill-store.sh data/drill/store data/drill data/drill/runs \
		--people 2000 --items 300 --seed 0
	$(call say,'drill-alerts: Debian packages prometheus and prometheus-alertmanager; result in reports/alerts.json')
	@$(PY) -m loadtest.alerts --store data/drill/store --shop data/drill/demo-shop $(DRILL_ARGS)

drill-promotion: $(FULL_ENV) ## Promote, refuse and roll back bundles under load; writes reports/promotion.json
	$(call say,'drill-promotion: ten promotions at 200 requests a second; keeps bundles in data/promotion')
	@$(PY) -m loadtest.promotion $(PROMOTION_ARGS)

drill-faults: $(FULL_ENV) ## Break everything around the service under traffic, one thing at a time; writes reports/faults.json
	$(call say,'drill-faults: half an hour; minutes with DRILL_ARGS=--short; DRILL_ARGS=--list says what there is')
	@$(PY) -m loadtest.faults $(DRILL_ARGS)

fuzz: $(FULL_ENV) ## Send 100,000 malformed requests and Redis replies: no 5xx, no hang, no growth; writes reports/fuzz.json
	$(call say,'fuzz: a quarter of an hour; a minute with FUZZ_ARGS="--cases 3000"; result in reports/fuzz.json')
	@$(PY) -m tests.fuzz $(FUZZ_ARGS)

compose-test: ## Build the images, start docker-compose.yml, break Redis and check the service; writes reports/compose.json
	@$(call find_python); exec $$python deploy/compose_test.py

openapi: $(FULL_ENV) ## Write docs/openapi.json and the settings pages in docs/ from the code
	@mkdir -p docs
	@$(PY) -m service.edge.openapi.document >docs/.openapi.json && mv docs/.openapi.json docs/openapi.json
	@$(PY) -m service.settings.reading >docs/.settings.md && mv docs/.settings.md docs/settings.md
	@$(PY) -m training settings --markdown >docs/.training-settings.md && mv docs/.training-settings.md docs/training-settings.md
	$(call say,'openapi: openapi.json and both settings pages are in docs/')

pictures: $(FULL_ENV) ## Draw the pictures of docs/architecture.md from the imports and from docs/pictures/*.txt
	@$(PY) -m tests.pictures

clean: ## Remove caches and build artefacts; the store, data, reports and the environment stay
	@rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist ./*.egg-info
	@find . -path './$(VENV)' -prune -o -name __pycache__ -type d -print0 | xargs -0 rm -rf
	$(call say,'clean: caches and build left-overs are gone')

# A request for the person on standard input, quoted for a shell: a shop's ids may hold anything.
define quote_question
import json, shlex, sys; print(shlex.quote(json.dumps({"user_id": sys.stdin.readline().strip(), "limit": 5}, ensure_ascii=False)))
endef

# The first interpreter of PYTHON that is new enough and can make environments, as $python.
define find_python
python=; for candidate in $(PYTHON); do \
	if $$candidate -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
	then python=$$candidate; break; fi; done; \
if [ -z "$$python" ]; then \
	echo 'error: no Python 3.11 or newer with the venv module (tried: $(PYTHON))' >&2; \
	echo '       on Debian: apt-get install python3 python3-venv; or name one: make PYTHON=/path/to/python3' >&2; \
	exit 1; fi
endef

$(VENV)/bin/python:
	@$(call find_python); echo "environment: $$($$python --version) in $(VENV)"; $$python -m venv '$(VENV)'

$(RUN_ENV): pyproject.toml constraints.txt $(wildcard models/kernel/*) | $(VENV)/bin/python
	@echo 'environment: installing what serving and training need (minutes the first time)'
	@$(PIP_INSTALL) -e '.[training]'
	@touch $@

$(FULL_ENV): pyproject.toml constraints.txt $(wildcard models/kernel/*) | $(VENV)/bin/python
	@echo 'environment: installing everything, tests and load generator included (minutes the first time)'
	@$(PIP_INSTALL) -e '.[training,loadtest,dev]'
	@touch $@ $(RUN_ENV)
