# A thin layer over the CMake presets (CMakePresets.json): the commands that people type.
# `make help` lists them. `make demo` and `make test` first install the Debian packages that are
# missing (./bootstrap); the other targets leave the system as it is.

JOBS ?= $(shell nproc)
# Where `make install` puts things; DESTDIR is put in front of it.
PREFIX ?= /usr/local
# More arguments for the configuration of the release build: CMAKE_FLAGS=-DTARE_BUILD_TESTS=OFF
CMAKE_FLAGS ?=

RELEASE = build/release
SOURCES = $(shell find bench demo fuzz include src tests -name '*.[ch]pp' -o -name '*.[ch]' 2>/dev/null)

# Targets in the order they are named: a package must be there before the build that needs it.
.NOTPARALLEL:
.PHONY: configure build demo test check asan tidy fuzz bench debug format format-check install clean help \
        bootstrap bootstrap-dev

configure:
	cmake --preset release $(CMAKE_FLAGS)

build: configure ## the command, build/release/tare, and the demo beside it
	cmake --build --preset release --parallel $(JOBS) --target tare_cli tare_fetch tare_demo

demo: bootstrap build ## the exercise: the attack, the catch, the safe path
	$(RELEASE)/tare demo

test: bootstrap configure ## every test on the release build
	cmake --build --preset release --parallel $(JOBS)
	ctest --preset release --parallel $(JOBS)

check: bootstrap-dev test asan tidy format-check fuzz ## all there is: what a change has to pass

asan: ## every test with AddressSanitizer and UndefinedBehaviorSanitizer
	cmake --preset asan
	cmake --build --preset asan --parallel $(JOBS)
	ctest --preset asan --parallel $(JOBS)

tidy: ## clang-tidy over all sources
	cmake --preset tidy
	cmake --build --preset tidy --parallel $(JOBS)

fuzz: ## build the fuzz targets; fuzz/run, if it is there, runs each for a short time
ifneq ($(wildcard fuzz/CMakeLists.txt),)
	cmake --preset fuzz
	cmake --build --preset fuzz --parallel $(JOBS)
	if [ -x fuzz/run ]; then fuzz/run build/fuzz; fi
else
	@echo "SKIPPED: fuzz: there are no fuzz targets yet"
endif

bench: ## build and run the benchmarks
	cmake --preset release -DTARE_BUILD_BENCH=ON
	cmake --build --preset release --parallel $(JOBS)
	python3 -B bench/pickle_bench.py $(RELEASE)
	python3 -B bench/header_bench.py $(RELEASE)
	python3 -B bench/safetensors_bench.py $(RELEASE)
	python3 -B bench/checkpoint_bench.py $(RELEASE)
	python3 -B bench/scan_bench.py $(RELEASE)

debug: ## a build to debug, build/debug/tare
	cmake --preset debug
	cmake --build --preset debug --parallel $(JOBS)

format: ## rewrite all sources as .clang-format has it
	clang-format-19 -i $(SOURCES)

format-check: ## fail if `make format` would change something
	clang-format-19 --dry-run -Werror $(SOURCES)

install: build ## install the commands and the libraries below PREFIX (/usr/local)
	cmake --build --preset release --parallel $(JOBS) --target tare_shared
	cmake --install $(RELEASE) --prefix $(PREFIX)

clean: ## remove everything that was built
	rm -rf build

bootstrap: ## install the Debian packages that are missing
	./bootstrap

bootstrap-dev:
	./bootstrap --dev

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile
