# The back office: `make up` brings it up, `make test` checks it. Everything else: `make help`.
# Settings go in front or behind: BACKOFFICE_PORT=9000 make up, make reset CONFIRM=yes, make doctor JSON=1.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.SUFFIXES:
MAKEFLAGS += --no-print-directory

# The first Python 3.11-3.13 that really runs and can make environments (a version manager's shim may not run).
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
  $$p -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1 \
  && { echo $$p; exit; }; done; echo python3)

VENV := .venv/bin
INSTALLATION := $(VENV)/python -m include.installation
COMPILE := $(VENV)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url
# Each group is a process of its own: Airflow's settings are read once, and the groups need different ones.
TEST_GROUPS := "tests/unit tests/db tests/installation tests/test_rooms.py" "tests/dags tests/plugins tests/rehearsals" \
  "tests/ui tests/browser tests/hostile"
export CONFIRM REPLICAS SEED ROUNDS CASES FAULTS BALLAST REPORT

.PHONY: help
help: ## Показать эту справку
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: install
install: ## Создать окружение .venv из requirements.lock (остальные команды делают это сами)
	@$(PYTHON) include/installation/bootstrap.py

.PHONY: up
up: install ## Поднять бэк-офис: база, Airflow, демонстрационная компания
	@$(INSTALLATION) up

.PHONY: down
down: ## Остановить всё, что запустила make up (данные остаются)
	@if [ -x $(VENV)/python ]; then $(INSTALLATION) down; else echo "Бэк-офис не был установлен."; fi

.PHONY: reset
reset: install ## Остановить и стереть все данные (спросит; без терминала: CONFIRM=yes)
	@$(INSTALLATION) reset

.PHONY: status
status: install ## Показать программы и их состояние
	@$(INSTALLATION) status

.PHONY: doctor
doctor: install ## Сказать словами, что не так и что делать (JSON=1 - для машины)
	@$(INSTALLATION) doctor $(if $(filter-out 0 no,$(JSON)),--json)

.PHONY: migrate
migrate: install ## Привести схемы обеих баз данных к нынешней версии
	@$(INSTALLATION) migrate

.PHONY: nudge
nudge: install ## Подталкивание планировщика: DO=install, DO=remove или DO=check (docs/adr/0003-nudge.md)
	@$(INSTALLATION) nudge $(or $(DO),check)

.PHONY: backup
backup: install ## Снять проверенную копию всего, пока идёт работа (TO=папка, KEEP=сколько хранить)
	@$(INSTALLATION) backup --to "$(TO)" --keep "$(KEEP)"

.PHONY: restore
restore: install ## Вернуть копию в новую или остановленную установку: FROM=папка (спросит; CONFIRM=yes)
	@$(INSTALLATION) restore --from "$(FROM)"

.PHONY: retention
retention: install ## Убрать старое сейчас, не дожидаясь ночи (DRY=1 - только сказать, что ушло бы)
	@$(INSTALLATION) retention $(if $(filter-out 0 no,$(DRY)),dry,run)

.PHONY: test
test: install ## Все проверки: правила, база, установка, сценарии и сбои в настоящем Airflow (TESTS=путь - часть)
ifdef TESTS
	@$(VENV)/python -m pytest $(TESTS)
else
	@log=$$(mktemp); { $(VENV)/python -m pytest tests/scenarios && $(VENV)/python -m pytest tests/faults; } >$$log 2>&1 & scenarios=$$!; \
	trap 'kill $$scenarios' INT TERM; status=0; \
	for group in $(TEST_GROUPS); do $(VENV)/python -m pytest $$group || status=1; done; \
	echo "Сценарии и сбои на настоящем Airflow шли рядом; их итог:"; \
	wait $$scenarios || status=1; cat $$log; rm -f $$log; exit $$status
endif

.PHONY: chaos
chaos: install ## Случайные сбои при живых делах: SEED= ROUNDS=20 CASES=50 FAULTS="имена"; BALLAST="500 5000" - глухота
	@$(VENV)/python -m tests.faults.chaos

.PHONY: mutants
mutants: install ## Посадить поломки в копию проекта: каждую должен заметить названный тест (ONLY="имена")
	@$(VENV)/python -m tests.mutants.run $(ONLY)

.PHONY: bench
bench: install ## Измерить обещания (docs/benchmarks.md): ONLY="steps burst" WAITING=300 PROFILE=1 PUBLISH=yes
	@$(VENV)/uv pip install --quiet --python $(VENV)/python -r tests/bench/requirements.txt || echo "Без профилей: py-spy не установить."
	@$(VENV)/python -m tests.bench.run

.PHONY: lint
lint: install ## Стиль и ошибки (ruff)
	@$(VENV)/ruff check . && $(VENV)/ruff format --check .

.PHONY: types
types: install ## Типы (mypy strict для include/ и plugins/)
	@$(VENV)/mypy

.PHONY: lock
lock: install ## Пересчитать замки с хешами после правки requirements*.txt
	@$(COMPILE) requirements.txt --output-file requirements.lock
	@$(COMPILE) --constraint requirements.lock requirements.txt requirements-image.txt \
	  --output-file requirements-image.lock
