# Everything is made from here; `make help` lists it. A second run does only what has changed.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules --no-print-directory

PORT ?= 8080
DATA ?= data
# More for the program itself: make up ARGS='--workspace team=Team'
ARGS ?=
# What `make bench` and `make faults` are given, for example BENCH='-rate 1000'
BENCH ?=
# How many workspaces `make bench-operator` lets rest; 2000 if empty
FLEET ?=
FAULTS ?=
# Where `make faults-alerts` keeps what was measured; it holds the alerts against all that is there
RECORDINGS ?= .data-alerts
# What `make e2e` gives go test, for example E2E='-run TwoPeople'
E2E ?=
# What `make images` makes: VERSION is told by programs and labels, TAG (one or several) only by the name, IMAGES='user note' chooses,
# ARCH=amd64,arm64 writes both archives, PUSH=registry.example.org/team pushes both platforms instead.
VERSION ?= 0.1.0
TAG ?=
IMAGES ?=
ARCH ?=
PUSH ?=
# How `make images-load` hands an archive to the cluster
IMAGE_LOAD ?= kind load image-archive
# How long `make fuzz` looks at each parser
FUZZTIME ?= 60s
# What `make test-go` runs, and how: anew, since Go does not see that a program has changed which a test builds and starts
PKG ?= ./...
GOTEST ?= -race -count=1 -timeout 20m
# The browser of the end-to-end tests
CHROMIUM ?= $(firstword $(wildcard /usr/bin/chromium /usr/bin/chromium-browser /usr/bin/google-chrome))

# Tools are built from modules of their own, once per version (go.sum), and never installed anywhere else.
TOOLS := $(CURDIR)/.tools/bin
export PATH := $(TOOLS):$(PATH)
comma := ,
say = printf '\033[1m==> %s\033[0m\n'
hold_alerts = $(say) 'alerts'; cd tools/monitoring && go test -count=1 -v -run AlertsOfAFault . -recordings $(abspath $(RECORDINGS))

##@ Use

.PHONY: up
up: ready ## Build and start everything: http://localhost:PORT, data in DATA; Ctrl-C stops it
	@exec bin/noteworks --port $(PORT) --data '$(DATA)' $(ARGS)

.PHONY: build
build: ready ## Build all programs into bin/, and the web app
	@$(say) 'building user, note, gateway and operator'
	@for service in user note gateway; do go build -o bin/$$service ./services/$$service; done
	@go build -o bin/operator ./operator

# Two at a time: one waits for the network while the other computes.
.PHONY: ready
ready: need-go need-npm
	@$(MAKE) --silent --jobs=2 bin/noteworks web/dist/index.html $(POSTGRES)

.PHONY: bin/noteworks
bin/noteworks: # always asked for: Go knows best what has changed
	@$(say) 'building Noteworks (the first time takes a few minutes)'
	@go build -o $@ ./services/allinone

POSTGRES := tools/postgres/node_modules/.package-lock.json
$(POSTGRES): tools/postgres/package.json tools/postgres/package-lock.json
	@$(say) 'fetching PostgreSQL'
	@npm ci --prefix tools/postgres --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

WEB_MODULES := web/node_modules/.package-lock.json
$(WEB_MODULES): web/package.json web/package-lock.json
	@$(say) 'fetching what the web app is built with'
	@npm ci --prefix web --no-audit --no-fund --loglevel=error
	@touch $@

WEB_SOURCES := $(shell find web/src web/public web/scripts web/index.html web/vite.config.ts web/tsconfig.json -type f 2>/dev/null)
web/dist/index.html: $(WEB_MODULES) $(WEB_SOURCES)
	@$(say) 'building the web app'
	@npm run --prefix web --silent build
	@touch $@

##@ Check

# In the order in which mistakes are cheapest to hear of. One after the other: each of them uses all processors.
.PHONY: test
test: need-go need-npm ## Everything: generated code, lint, vet, all Go tests with -race, web tests, two real browsers
	@$(MAKE) test-generated
	@$(MAKE) lint
	@$(MAKE) vet
	@$(MAKE) test-monitoring
	@$(MAKE) test-web
	@$(MAKE) test-go
	@$(MAKE) test-images
	@$(MAKE) test-e2e
	@$(say) 'all tests passed'

.PHONY: test-go
test-go: $(POSTGRES) web/dist/index.html $(TOOLS)/kube-apiserver ## Go tests on real servers: PKG=./services/note/... GOTEST='-race -run X'
	@$(say) 'Go tests'
	@go run ./services/internal/pgtest/run go test $(GOTEST) $(PKG)

# A part of test-go, which is all that somebody who changes a chart has to wait for.
.PHONY: test-charts
test-charts: need-go ## The charts: every profile and every value, rendered and held against the API: RUN=Each/each/user/replicas
	@$(say) 'chart tests'
	@go test ./charts $(if $(RUN),-v -run '$(RUN)')

.PHONY: test-images
test-images: need-go ## How images are made: built twice and compared, pushed to a registry of the test's own
	@$(say) 'image tests'
	@cd tools/images && go test -count=1 ./...

.PHONY: test-monitoring
test-monitoring: $(TOOLS)/helm ## Alerts and dashboard: what they ask for is there, and each alert fires when it should
	@$(say) 'alerts and dashboard'
	@cd tools/monitoring && go test -count=1 ./...

.PHONY: test-web
test-web: $(WEB_MODULES) ## Unit tests of the web app
	@$(say) 'web tests'
	@npm run --prefix web --silent test

.PHONY: test-e2e
test-e2e: need-chromium ready ## The main job in two real browsers, on the running program; writes screenshots
	@$(say) 'web tests in two browsers'
	@CHROMIUM="$${CHROMIUM:-$$(command -v chromium || command -v chromium-browser || command -v google-chrome)}" \
		npm run --prefix web --silent e2e

.PHONY: test-generated
test-generated: ## Fail when generated code differs from what its sources make
	@$(say) 'generated code'
	@tools/contract/unchanged $(GENERATED) -- $(MAKE) generate

.PHONY: lint
lint: lint-go lint-api lint-web lint-charts ## All linters

.PHONY: lint-go
lint-go: $(TOOLS)/golangci-lint
	@$(say) 'lint: Go'
	@golangci-lint run
	@cd tools/images && golangci-lint run
	@cd test/load/peers && golangci-lint run

.PHONY: lint-api
lint-api: $(TOOLS)/buf
	@$(say) 'lint: contracts'
	@buf lint services/api
	@tools/contract/breaking

.PHONY: lint-web
lint-web: $(WEB_MODULES)
	@$(say) 'lint: web'
	@npm run --prefix web --silent lint

.PHONY: lint-charts
lint-charts: $(TOOLS)/helm
	@$(say) 'lint: charts'
	@helm lint --quiet --strict charts/noteworks charts/noteworks/charts/* charts/noteworks-operator charts/noteworks-crds

.PHONY: vet
vet: need-go
	@$(say) 'go vet'
	@go vet ./...
	@cd tools/images && go vet ./...
	@cd test/load/peers && go vet ./...

.PHONY: fuzz
fuzz: need-go ## Look for input that a parser of outside bytes takes and should not, FUZZTIME=60s at each
	@$(say) 'fuzzing'
	@tools/fuzz $(FUZZTIME)

.PHONY: bench
bench: ready ## Measure a change's way to the other person's screen: BENCH='-rate 1000 -sockets 50', or other things: BENCH=rates
	@go run ./test/load $(BENCH)

.PHONY: bench-all
bench-all: ready ## All that can be measured, an hour, and docs/performance.md with its curves; leave the machine alone meanwhile
	@go run ./test/load -docs all

.PHONY: bench-peers
bench-peers: ready ## The way of an event beside Watermill and River
	@go run ./test/load peers

.PHONY: bench-operator
bench-operator: $(TOOLS)/kube-apiserver ## Measure the operator on an API server of its own: FLEET=2000 workspaces at rest
	@FLEET='$(FLEET)' go test -run '^$$' -bench SharedWorkspaces -benchtime 1x -timeout 20m ./operator/server

.PHONY: e2e
e2e: need-go $(TOOLS)/helm ## The end-to-end suite on the cluster that KUBECONFIG names, with the images of two tags on it: E2E='-run Job'
	@go test ./test/e2e -tags e2e -count=1 -v -timeout 40m $(E2E)

.PHONY: faults
faults: ready ## Break every part of the stack in every way, under load, and count what was lost: FAULTS='-only NATS -seed 7', -list tells them
	@go run ./test/faults $(FAULTS)

.PHONY: faults-alerts
faults-alerts: ready $(TOOLS)/helm $(TOOLS)/jaeger ## Play the faults that alerts belong to, long enough for them, and hold the alerts against what was measured: FAULTS='-only NATS'
	@go run ./test/faults -alerts $(RECORDINGS) -jaeger $(TOOLS)/jaeger $(FAULTS)
	@$(hold_alerts)

.PHONY: faults-operator
faults-operator: need-go $(TOOLS)/kube-apiserver $(TOOLS)/helm ## Play the fault that the operator's alerts belong to, on an API server of its own, and hold them against what was measured: 20 minutes
	@mkdir -p $(RECORDINGS)
	@RECORDINGS=$(abspath $(RECORDINGS)) go test -tags alerts -count=1 -timeout 30m -run FaultIsRecorded ./operator/server
	@$(hold_alerts)

##@ Ship

.PHONY: images
images: need-go need-npm web/dist/index.html ## Container images, without Docker, into dist/images: TAG=x IMAGES='user note' ARCH=arm64 PUSH=registry/team
	@$(say) 'building images'
	@cd tools/images && go run . -root ../.. -version '$(VERSION)' -tag '$(TAG)' -images '$(IMAGES)' -arch '$(ARCH)' -push '$(PUSH)'

.PHONY: images-load
images-load: images ## ... and load them into kind, or by another command: IMAGE_LOAD='ctr -n k8s.io images import'
	@for image in $(or $(subst $(comma), ,$(IMAGES)),user note gateway operator); do for tag in $(or $(subst $(comma), ,$(TAG)),$(VERSION)); do \
		$(say) "loading $$image:$$tag"; $(IMAGE_LOAD) dist/images/$$image-$$tag.tar; done; done

##@ Develop on Kubernetes (what Tilt calls)

DEV := dist/dev

# The file is left alone when nothing has changed, since Tilt copies it into the pod when it has.
.PHONY: dev-program
dev-program: need-go ## A service, or the operator, as a program for the cluster: SERVICE=note
	@mkdir -p $(DEV)
	@CGO_ENABLED=0 GOOS=linux go build -ldflags='-s -w' -o $(DEV)/$(SERVICE).new $(if $(filter operator,$(SERVICE)),./operator,./services/$(SERVICE))
	@cmp --silent $(DEV)/$(SERVICE).new $(DEV)/$(SERVICE) || mv $(DEV)/$(SERVICE).new $(DEV)/$(SERVICE)

.PHONY: dev-image
dev-image: need-go ## ... in an image that takes newer ones while it runs, loaded into kind: SERVICE=note REF=noteworks/note:dev
	@CGO_ENABLED=0 GOOS=linux go build -ldflags='-s -w' -o $(DEV)/live ./tools/dev/live
	@go run ./tools/dev/liveimage -name $(SERVICE) -program $(DEV)/$(SERVICE) -live $(DEV)/live -ref $(REF) -out $(DEV)/$(SERVICE).tar
	@$(IMAGE_LOAD) $(DEV)/$(SERVICE).tar

##@ Change

GENERATED := services/api/gen web/src/api/gen operator/api charts config

.PHONY: generate
generate: generate-proto generate-openapi generate-web generate-crd generate-charts ## Generate code from services/api and operator/api, and what charts share from charts/kit

.PHONY: generate-proto
generate-proto: $(TOOLS)/buf $(TOOLS)/protoc-gen-go $(TOOLS)/protoc-gen-connect-go
	@cd services/api && buf generate

.PHONY: generate-openapi
generate-openapi: $(TOOLS)/oapi-codegen
	@cd services/api/openapi && for config in *.gen.yaml; do \
		name=$${config%.gen.yaml}; mkdir -p ../gen/rest/$${name}rest; oapi-codegen -config $$config $$name.yaml; done

# What comes of the operator's types and rights: the custom resource's schema and the operator's role are written here and nowhere else.
.PHONY: generate-crd
generate-crd: $(TOOLS)/controller-gen
	@controller-gen object crd paths=./operator/api/... output:crd:dir=config/crd
	@controller-gen rbac:roleName=noteworks-operator paths=./operator/internal/controller/... output:rbac:dir=config/rbac

.PHONY: generate-charts
generate-charts: need-go
	@go run ./tools/charts

.PHONY: generate-web
generate-web: $(WEB_MODULES)
	@npm run --prefix web --silent generate

.PHONY: metrics
metrics: $(POSTGRES) ## Write docs/metrics.md anew, from what the running programs expose
	@UPDATE=1 go run ./services/internal/pgtest/run go test -count=1 -run TestTheInventoryOfMetrics ./services/systemtest

.PHONY: fmt
fmt: $(TOOLS)/golangci-lint $(TOOLS)/buf ## Format Go and protobuf files
	@golangci-lint fmt
	@buf format -w services/api

.PHONY: tools
tools: $(TOOLS)/buf $(TOOLS)/oapi-codegen $(TOOLS)/protoc-gen-go $(TOOLS)/protoc-gen-connect-go $(TOOLS)/golangci-lint $(TOOLS)/helm $(TOOLS)/controller-gen $(TOOLS)/kube-apiserver $(POSTGRES) ## Build and fetch all tools into ignored folders
	@cd tools/kubescore && go tool -n kube-score >/dev/null # the chart tests run it from Go's cache

$(TOOLS)/buf: tools/gen/go.sum
	@$(say) 'building buf'
	@cd tools/gen && go build -o $@ github.com/bufbuild/buf/cmd/buf

$(TOOLS)/oapi-codegen: tools/gen/go.sum
	@$(say) 'building oapi-codegen'
	@cd tools/gen && go build -o $@ github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen

$(TOOLS)/golangci-lint: tools/lint/go.sum
	@$(say) 'building golangci-lint'
	@cd tools/lint && go build -o $@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

$(TOOLS)/helm: tools/helm/go.sum
	@$(say) 'building helm'
	@cd tools/helm && go build -o $@ helm.sh/helm/v4/cmd/helm

$(TOOLS)/controller-gen: tools/controllergen/go.sum
	@$(say) 'building controller-gen'
	@cd tools/controllergen && go build -o $@ sigs.k8s.io/controller-tools/cmd/controller-gen

# The real API server that the operator is tested against: one program under three names. It says which version it is only if the linker tells it.
$(TOOLS)/kube-apiserver: tools/apiserver/go.sum tools/apiserver/main.go
	@$(say) 'building kube-apiserver, etcd and kubectl (the first time takes ten minutes)'
	@cd tools/apiserver && version=$$(go list -m -f '{{.Version}}' k8s.io/kubernetes) && minor=$${version#v1.} && \
		go build -ldflags="-s -w $$(printf -- ' -X k8s.io/component-base/version.%s' gitVersion=$$version gitMajor=1 gitMinor=$${minor%%.*})" -o $(TOOLS)/apiserver .
	@for name in etcd kubectl kube-apiserver; do ln -sf apiserver $(TOOLS)/$$name; done

# The faults that alerts belong to need a real one; nobody else does. The version is the chart's.
$(TOOLS)/jaeger: tools/jaeger/go.sum
	@$(say) 'building jaeger (the first time takes ten minutes)'
	@cd tools/jaeger && CGO_ENABLED=0 go build -ldflags="-s -w" -o $@ github.com/jaegertracing/jaeger/cmd/jaeger

# These two come with the libraries whose code they write: the same version by construction.
$(TOOLS)/protoc-gen-go: go.sum
	@go build -o $@ google.golang.org/protobuf/cmd/protoc-gen-go

$(TOOLS)/protoc-gen-connect-go: go.sum
	@go build -o $@ connectrpc.com/connect/cmd/protoc-gen-connect-go

.PHONY: clean
clean: ## Remove what was built and fetched; data stays
	@rm -rf bin dist .tools web/dist web/node_modules tools/postgres/node_modules web/screenshots web/test-results

##@ Help

.PHONY: help
help: ## This list
	@awk 'BEGIN { FS = ":.*## " } /^##@ / { printf "\n%s\n", substr($$0, 5) } /^[a-z0-9-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: need-go
need-go:
	@command -v go >/dev/null || { echo 'Go is missing: https://go.dev/dl (go.mod names the version)' >&2; exit 1; }

.PHONY: need-npm
need-npm:
	@command -v npm >/dev/null || { echo 'Node.js with npm is missing: https://nodejs.org (20.19 or later)' >&2; exit 1; }

.PHONY: need-chromium
need-chromium:
ifeq ($(CHROMIUM),)
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		$(say) 'installing Chromium'; apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium >/dev/null; \
	else echo 'The browser tests need Chromium: install it (Debian: apt install chromium) or set CHROMIUM=/path/to/it' >&2; exit 1; fi
endif
