#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# run_neon.sh <work folder>: builds the kernels, search over them and the tests of both for AArch64 and runs them under qemu-user, so that the
# NEON level is tested on any machine. Exit code 77 (skipped, in ctest's words) without the cross compiler or qemu.
# Debian packages: g++-aarch64-linux-gnu qemu-user; GoogleTest comes from libgtest-dev's sources.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
out=${1:?usage: run_neon.sh <work folder>}
gtest=${GTEST_SOURCE:-/usr/src/googletest/googletest}
hwy=${HWY_INCLUDE:-/usr/include}
skip() { echo "SKIPPED: $1"; exit 77; }
command -v aarch64-linux-gnu-g++ >/dev/null || skip "aarch64-linux-gnu-g++ is not installed (package g++-aarch64-linux-gnu)"
command -v qemu-aarch64 >/dev/null || skip "qemu-aarch64 is not installed (package qemu-user)"
[ -f "$gtest/src/gtest-all.cc" ] || skip "no GoogleTest sources in $gtest (package libgtest-dev)"
[ -f "$hwy/hwy/highway.h" ] || skip "no Highway headers in $hwy (package libhwy-dev)"

mkdir -p "$out/include/etalage"
# Highway's headers do not depend on the architecture; nothing else of the host's include folder may be seen.
ln -sfn "$hwy/hwy" "$out/include/hwy"
printf '#pragma once\n#define ETALAGE_EXPORT\n#define ETALAGE_NO_EXPORT\n' > "$out/include/etalage/export.hpp"
flags=(-std=c++20 -O2 -I"$root/include" -I"$root/src" -I"$root/tests" -I"$out/include" -I"$gtest/include" -I"$gtest")
kernel_flags=(-O3 -fno-exceptions -DETALAGE_SIMD_NAMESPACE=baseline -DHWY_COMPILE_ONLY_STATIC -DHWY_IS_DEBUG_BUILD=0)

objects=()
compile() {  # compile <source> [flag...]: rebuilt when the source or any file of the kernels or of search is newer
  local source=$1 object
  shift
  object=$out/$(basename "${source%.*}").o
  objects+=("$object")
  if [ ! -f "$object" ] || [ -n "$(find "$source" "$root/src/kernels" "$root/src/search" "$root/tests/kernels" "$root/tests/search" -newer "$object" -print -quit)" ]; then
    aarch64-linux-gnu-g++ "${flags[@]}" "$@" -c "$source" -o "$object"
  fi
}
# Parallel loops run on std::thread here.
for source in "$root"/src/kernels/*.cpp "$root"/src/search/*.cpp "$root/src/core/item_filter.cpp" "$root/src/core/scratch.cpp" "$root/src/detail/parallel_for.cpp"; do
  # files with a scalar twin are the ones that are compiled for each level
  if [ -f "${source%.cpp}_scalar.cpp" ]; then compile "$source" "${kernel_flags[@]}"; else compile "$source"; fi
done
for source in "$root"/tests/kernels/*_test.cpp "$root"/tests/search/*_test.cpp; do compile "$source"; done
compile "$gtest/src/gtest-all.cc"
compile "$gtest/src/gtest_main.cc"
aarch64-linux-gnu-g++ -static "${objects[@]}" -pthread -o "$out/kernels_neon_test"
qemu-aarch64 "$out/kernels_neon_test" --gtest_brief=1
