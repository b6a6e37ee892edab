# thermogate: `make demo` runs it, `make test` proves it.

# Only the OpenCV modules that are used, not all that Debian ships.
export CGO_LDFLAGS = -O2 -Wl,--as-needed
STATICCHECK = go run honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK = golang.org/x/vuln/cmd/govulncheck@v1.9.0
# Packages with tests of which -short leaves out a part: what computes for minutes in one goroutine takes ten times as
# long under the race detector, which has nothing to find there, and what has a time limit would break it.
figures = $(shell grep -rl 'testing.Short()' --include='*_test.go' . | xargs -n 1 dirname | sort -u)

.PHONY: demo build test test-packages packages lint vulnerabilities licences bench figures fuzz

demo: build
	bin/thermogate demo

build:
	deploy/install-packages build
	deploy/build $$(dpkg --print-architecture) bin

test: build
	deploy/install-packages test
	go vet ./...
	go test -race -short -timeout 40m ./...
	go test -timeout 40m $(figures)

# Debian packages of gate, console and kiosk for this machine, in bin/packages; deploy/release makes those of a release.
packages:
	deploy/install-packages build
	deploy/package $$(dpkg --print-architecture)

# The packages in a Debian of their own: root, 160 MB of downloads, some ten minutes. Not a part of `make test`.
test-packages:
	deploy/install-packages packages
	deploy/test-packages

lint:
	gofmt -l . | (! grep .)
	go vet ./...
	$(STATICCHECK) ./...
	$(MAKE) --no-print-directory vulnerabilities

# Fails on what the Go vulnerability database knows of code that is called; without the database it says so and passes.
vulnerabilities:
	GOBIN=$(CURDIR)/bin go install $(GOVULNCHECK)
	@bin/govulncheck $(if $(GOVULNDB),-db $(GOVULNDB)) ./... 2>bin/govulncheck.err || { status=$$?; cat bin/govulncheck.err; \
		grep -q 'fetching vulnerabilities' bin/govulncheck.err || exit $$status; \
		echo "SKIPPED: vulnerabilities not looked for, their database (https://vuln.go.dev, or a mirror that GOVULNDB names) can't be had"; }

# The licences that ship with the programs, to be made anew after a change of go.mod.
licences:
	mkdir -p bin
	go run ./deploy/licences >bin/licences.txt
	mv bin/licences.txt deploy/third-party-licences.txt

bench: build
	go test -run '^$$' -bench . -benchmem ./...

# Every reader and decoder is given damaged and hostile input, each for so long.
fuzztime = 2m
fuzz:
	set -e; for package in $$(go list ./...); do \
		for target in $$(go test -list '^Fuzz' $$package | grep '^Fuzz'); do \
			GOMEMLIMIT=300MiB go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(fuzztime) -fuzzminimizetime 5x -parallel 1 $$package; \
		done; \
	done

# The page of what a trial of the gate against simulated people comes to; some minutes of computing.
scenarios = camera/simulator/scenarios
crowds = $(wildcard $(scenarios)/crowd-*.yaml)
figures: build
	bin/thermogate trial --json $(filter-out $(crowds), $(wildcard $(scenarios)/*.yaml)) >bin/trial.json
	bin/thermogate trial --json -c $(scenarios)/walkway/gate.yaml $(crowds) >>bin/trial.json
	go run ./screening/gate/trial/page $(scenarios) <bin/trial.json >bin/figures.md
	mv bin/figures.md screening/gate/README.md
