# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: bulwark.servers contributors
#
# Everything runs in environments of its own below $(BUILD); needed beforehand is only a Python of 3.11 or newer.
# All paths are relative, so that the checkout may lie in a directory with spaces in its name.

BUILD ?= .build
# The Python to set up with; found when not given.
PYTHON ?=
# scan and report
INVENTORY ?=
LIMIT ?=
STORE ?=
REPORT ?=
ARGS ?=
# test
TESTS ?=
WORKERS ?= 2
# fleet
N ?= 4
NAME ?=

export INVENTORY LIMIT STORE REPORT ARGS

.DEFAULT_GOAL := help
.PHONY: help environment test-environment collection scan report shell test test-unit lint sanity bench fleet fleet-matrix \
	fleet-down windows-conformance docs build clean

bootstrap = python=$${PYTHON:-$$(sh tools/python.sh)} && "$$python" tools/bootstrap.py
run = $(BUILD)/env/bin/python
test = $(BUILD)/test/bin/python
# For tools that look for other programs beside themselves, and for the collection.
in_test = PATH="$(abspath $(BUILD))/test/bin:$$PATH" ANSIBLE_COLLECTIONS_PATH="$(abspath $(BUILD))/collections"
# What tools leave in the checkout, also those that somebody starts without make.
leftovers = .ansible .hypothesis .mypy_cache .nox .pytest_cache .ruff_cache tests/output changelogs/.plugin-cache.yaml
# A copy of the collection with the pages that are generated.
documented = $(BUILD)/docs/collections/ansible_collections/bulwark/servers
of_documented = ANSIBLE_COLLECTIONS_PATH="$(abspath $(BUILD))/docs/collections"

help: ## Show what there is to do
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-19s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

environment: collection
	@$(bootstrap) $(BUILD)/env -r requirements.txt -r requirements/controller.txt

test-environment: collection
	@$(bootstrap) $(BUILD)/test -r requirements.txt -r requirements/controller.txt -r requirements/test.txt -r requirements/lint.txt

collection:
	@mkdir -p $(BUILD)/collections/ansible_collections/bulwark
	@link=$(BUILD)/collections/ansible_collections/bulwark/servers; \
		[ "$$(readlink $$link)" = "$(CURDIR)" ] || ln -sfn "$(CURDIR)" $$link

scan: environment ## Scan this machine, or INVENTORY=hosts.yml [LIMIT=...] [STORE=url] [REPORT=file] [ARGS="..."]
	@$(run) tools/playbook.py scan --build $(BUILD)

report: environment ## Write the report again from what the store holds [STORE=url] [REPORT=file]
	@$(run) tools/playbook.py report --build $(BUILD)

shell: environment ## Let this shell find playbooks, such as bulwark.servers.vulnerability_sync: eval "$(make -s shell)"
	@$(run) tools/playbook.py --shell --build $(BUILD)

test: test-environment ## Run every test: lint, sanity, units, content, integration [TESTS=path] [ARGS="-k ..."]
	@$(test) -m pytest -n $(WORKERS) --dist loadgroup --no-loadscope-reorder -rfEs $(or $(TESTS),tests) $(ARGS)

test-unit: test-environment ## Run the tests that need nothing but Python [TESTS=path] [ARGS="-k ..."]
	@BULWARK_TEST_UNIT=1 $(test) -m pytest -n $(WORKERS) --dist loadgroup $(or $(TESTS),tests/unit tests/content) $(ARGS)

lint: test-environment ## Check style, types, roles, licences and documentation
	@$(test) -m pytest tests/quality --deselect tests/quality/test_sanity.py $(ARGS)

sanity: test-environment ## Run ansible-test's sanity tests
	@$(test) -m pytest tests/quality/test_sanity.py $(ARGS)

bench: test-environment ## Measure against a peer: NAME=file_integrity; NAME=fleet takes [BEFORE=commit] [ROUNDS=3]
	@$(test) -m tests.bench $(NAME)

fleet: collection ## Start N=4 disposable hosts with sshd and write .build/fleet/inventory.yml
	@python=$${PYTHON:-$$(sh tools/python.sh)} && "$$python" -m tests.fleet up --hosts $(N)

fleet-matrix: collection ## Start one disposable host for each Python that targets are tested with
	@python=$${PYTHON:-$$(sh tools/python.sh)} && "$$python" -m tests.fleet up --matrix

fleet-down: ## Remove the disposable hosts and all that was started for them
	@python=$${PYTHON:-$$(sh tools/python.sh)} && "$$python" -m tests.fleet down

windows-conformance: environment ## See on Windows hosts what our C# relies on: INVENTORY=hosts.yml [LIMIT=...] [ARGS="..."]
	@$(run) -m tests.windows.conformance run --build $(BUILD)

docs: test-environment ## Render the collection's documentation to .build/docs
	@rm -rf $(BUILD)/docs && mkdir -m 0755 -p $(documented)
	@cp -R docs galaxy.yml meta playbooks plugins roles $(documented)
	@$(test) tools/alert_reference.py $(documented)
	@$(test) tools/control_reference.py $(documented)
	@$(test) tools/export_reference.py $(documented)
	@$(test) -m tests.integration.report.pictures $(BUILD)/docs/pictures
	@$(in_test) antsibull-docs sphinx-init --use-current --squash-hierarchy --no-indexes --sphinx-theme furo \
		--project bulwark.servers --copyright "bulwark.servers contributors" --title bulwark.servers \
		--extra-conf pygments_dark_style=monokai --dest-dir $(BUILD)/docs bulwark.servers >/dev/null
	@$(in_test) $(of_documented) antsibull-docs --config-file $(BUILD)/docs/antsibull-docs.cfg collection --use-current \
		--squash-hierarchy --no-indexes --dest-dir $(BUILD)/docs/rst bulwark.servers >/dev/null
	@$(test) tools/documentation_site.py $(documented) $(BUILD)/docs --pictures $(BUILD)/docs/pictures
	@# Without a network, links to Ansible's own documentation lead nowhere, at great length.
	@$(in_test) sphinx-build -q -b html -c $(BUILD)/docs $(BUILD)/docs/rst $(BUILD)/docs/html \
		2>$(BUILD)/docs/sphinx.log || { cat $(BUILD)/docs/sphinx.log >&2; exit 1; }
	@echo "Documentation: $(BUILD)/docs/html/index.html"

build: environment ## Build the collection's artefact in .build/artefact
	@$(BUILD)/env/bin/ansible-galaxy collection build --force --output-path $(BUILD)/artefact .

clean: ## Remove everything that was made here; 'make fleet-down' first if a fleet is up
	@rm -rf $(BUILD) $(leftovers)
	@find . -name .git -prune -o -type d -name __pycache__ -exec rm -rf {} +
