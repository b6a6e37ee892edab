# thermogate: `make demo` runs it, `make test` proves it.

# Only the OpenCV modules that are used, not all that Debian ships.
export CGO_LDFLAGS = -O2 -Wl,--as-needed
STATICCHECK = go run honnef.co/go/tools/cmd/staticcheck@v0.8.2

.PHONY: demo build test lint bench

demo: build
	bin/thermogate demo

build:
	deploy/install-packages build
	go build -trimpath -buildvcs=auto -o bin/thermogate ./cmd/thermogate

test: build
	deploy/install-packages test
	go vet ./...
	go test -race -timeout 20m ./...

lint:
	gofmt -l . | (! grep .)
	go vet ./...
	$(STATICCHECK) ./...

bench: build
	go test -run '^$$' -bench . -benchmem ./...
