.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
PORT ?= 3000
TESTS ?= 2
export BENTOML_DO_NOT_TRACK := True
export PIP_DISABLE_PIP_VERSION_CHECK := 1
PACKAGES := attacks editing model_store service export tests benchmarks deploy clients/python/gradctrl_client clients/examples clients/generate_sdk.py clients/proto

help: ## show the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

.venv/installed: pyproject.toml clients/python/pyproject.toml deploy/requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || \
		{ echo "needs Python 3.11; set PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "setting up .venv (once; downloads about 1 GB)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@grep -oE '^[a-z0-9.-]+==[^ ]+' deploy/requirements.txt >.venv/constraints.txt # as the image
	@$(BIN)/python -m pip install --quiet -c .venv/constraints.txt \
		-e '.[dev,demo-model]' -e 'clients/python[grpc]'
	@touch $@

setup: .venv/installed ## create .venv and install everything

demo: setup ## store our GAN, fetch a public one, serve both, edit, write demo/strip-*.png
	@$(BIN)/gradctrl models avatars >/dev/null 2>&1 || $(BIN)/gradctrl fetch avatars
	@$(BIN)/gradctrl models celeba >/dev/null 2>&1 || $(BIN)/gradctrl fetch celeba
	@$(BIN)/python clients/examples/demo.py --output demo

serve: setup ## serve every model in the store (PORT=3000)
	@$(BIN)/gradctrl models | grep -q '^gradctrl-' || $(BIN)/gradctrl fetch avatars
	@$(BIN)/gradctrl serve --port $(PORT)

test: setup ## run all tests, two files at a time (TESTS=2)
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(TESTS) --dist loadfile

lint: setup ## ruff, format check, strict types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy $(PACKAGES)

format: setup ## format and fix what can be fixed
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

openapi: setup ## write clients/openapi.json
	@$(BIN)/python -m service.openapi clients/openapi.json

sdk: openapi ## write the generated Python and TypeScript clients (needs node and npm)
	@$(BIN)/python clients/generate_sdk.py
	@cd clients/typescript && npm ci --silent && npm run --silent generate

proto: setup ## write the gRPC code of service and client from edit.proto, and lint it
	@cd clients/proto && ../../$(BIN)/buf format -w && ../../$(BIN)/buf lint
	@$(BIN)/python clients/proto/generate.py

requirements: setup ## write deploy/requirements.txt: pins and hashes of what the image installs
	@$(BIN)/python -m deploy.requirements

audit: setup ## ask OSV or PyPI for known vulnerabilities in deploy/requirements.txt
	@$(BIN)/python -m deploy.audit

sbom: setup ## write dist/gradctrl.cdx.json: what the CPU image holds, as CycloneDX
	@$(BIN)/python -m deploy.sbom --variant cpu -o dist/gradctrl.cdx.json

contract: setup ## schemathesis, at length, against a running service (PORT=3000)
	@$(BIN)/st run http://127.0.0.1:$(PORT)/v1/openapi.json --checks all --max-examples 400

bench: setup ## measured comparisons; JSON in benchmarks/results
	@$(BIN)/python -m benchmarks.walk
	@$(BIN)/python -m benchmarks.synthesis
	@$(BIN)/python -m benchmarks.onnx_runtime
	@$(BIN)/python -m benchmarks.onnx_precision
	@$(BIN)/python -m benchmarks.encoding
	@$(BIN)/python -m benchmarks.signing
	@$(BIN)/python -m benchmarks.service
	@$(BIN)/python -m benchmarks.scale
	@$(BIN)/python -m benchmarks.profile_edit
	@$(BIN)/python -m benchmarks.transports
	@$(BIN)/python -m benchmarks.near_boundary

.PHONY: help setup demo serve test lint format openapi sdk proto requirements audit sbom contract bench
