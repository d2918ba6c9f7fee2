#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Sets up what it needs (Debian packages, a Python environment in .venv), builds, and runs every C++ and Python test.
#   bash tests/run.sh          all tests that are not slow
#   bash tests/run.sh --full   the slow ones too, then the sanitizer builds
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tests/support/setup.sh

full=
case "${1:-}" in
  "") ;;
  --full) full=1 ;;
  *)
    echo "usage: bash tests/run.sh [--full]"
    exit 2
    ;;
esac
jobs=$(nproc)
mkdir -p build

setup_system
install_packages tests/support/packages_tests.txt
if [ -n "$full" ]; then install_packages tests/support/packages_full.txt; fi
setup_python
if [ -n "$full" ]; then setup_spark; fi
if [ -z "${ETALAGE_DATA:-}" ] && [ -d ../shared/data ]; then
  ETALAGE_DATA=$(cd ../shared/data && pwd)
  export ETALAGE_DATA
fi

# tests FOLDER CTEST_OPTION...: prints the runner's summary, and all of what failed.
failed=()
tests() {
  local folder=$1 log=$1/ctest.log
  shift
  say "C++ tests of $folder"
  ctest --test-dir "$folder" -j "$jobs" --output-on-failure --no-tests=error "$@" >"$log" 2>&1 || {
    failed+=("$log")
    grep -v -E '^ *[0-9]+/[0-9]+ .* Passed|^ +Start ' "$log" | head -n 400
    return 0
  }
  grep -E 'tests passed|\(Skipped\)|Total Test time' "$log"
}

if [ -n "$full" ]; then
  sanitized=(-DCMAKE_BUILD_TYPE=RelWithDebInfo -DCMAKE_CXX_FLAGS_RELWITHDEBINFO=-O1 -DETALAGE_BUILD_EXAMPLES=OFF
             -DETALAGE_UNITY=ON -DBUILD_SHARED_LIBS=ON)
  # AddressSanitizer and UndefinedBehaviorSanitizer in one build, over every quick test.
  configure build/asan "${sanitized[@]}" "-DETALAGE_SANITIZE=address;undefined"
  build build/asan
  ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1 tests build/asan -LE slow
  # ThreadSanitizer does not see inside libgomp, so the loops run on std::thread.
  configure build/tsan "${sanitized[@]}" -DETALAGE_SANITIZE=thread -DETALAGE_THREADS=std
  build build/tsan etalage_threaded_tests
  TSAN_OPTIONS="suppressions=$PWD/tests/support/tsan.supp:halt_on_error=1" tests build/tsan -L threaded -LE slow
fi

# Compiled together as in the wheel: what is compiled here serves that too.
configure build/release -DCMAKE_BUILD_TYPE=Release -DETALAGE_UNITY=ON -DETALAGE_BUILD_PYTHON=ON -DETALAGE_BUILD_TESTS=ON \
  -DETALAGE_BUILD_EXAMPLES=ON "-DETALAGE_WERROR=${full:-0}" -DPython_EXECUTABLE="$ETALAGE_PYTHON"
build build/release
if [ -n "$full" ]; then tests build/release; else tests build/release -LE slow; fi

if [ -n "$full" ]; then
  say "the wheel in a system that has only Python, numpy and scipy"
  bash tests/wheel/check_wheel.sh >build/wheel.log 2>&1 || failed+=(build/wheel.log)
  tail -n 40 build/wheel.log
fi

say "Python tests"
marker=(-m "not slow")
if [ -n "$full" ]; then marker=(); fi
PYTHONPATH=$PWD/build/release/python "$ETALAGE_PYTHON" -m pytest -q -p no:cacheprovider python/tests "${marker[@]}" || failed+=(pytest)

if [ "${#failed[@]}" -gt 0 ]; then
  say "FAILED: ${failed[*]}"
  exit 1
fi
