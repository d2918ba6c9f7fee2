#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds the wheel, repairs it with auditwheel, and proves the result in a Debian system that holds only Python, numpy
# and scipy: once with NumPy 1.26, once with NumPy 2. Needs root for the chroot; without it, or without debootstrap,
# the repaired wheel is tried in two fresh environments of this machine instead, and says so.
#   bash tests/wheel/check_wheel.sh      result in build/wheel/dist; the bare system is kept in build/chroot
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source tests/support/setup.sh
setup_python
work=$PWD/build/wheel
python_of_system=/usr/bin/python3
mkdir -p "$work/wheelhouse"
rm -rf "$work/raw" "$work/dist"

say "building the wheel"
if command -v ccache >/dev/null; then export CMAKE_CXX_COMPILER_LAUNCHER=ccache CMAKE_C_COMPILER_LAUNCHER=ccache CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1; fi
# Beside build/release and with its flags: what was compiled there is not compiled again where ccache is.
PATH=$PWD/.venv/bin:$PATH "$ETALAGE_PYTHON" -m build --wheel --no-isolation -Cbuild-dir="$PWD/build/wheel_cmake" -Ccmake.define.ETALAGE_WERROR=ON -o "$work/raw" . \
  >"$work/build.log" 2>&1 || {
  tail -n 60 "$work/build.log"
  exit 1
}
PATH=$PWD/.venv/bin:$PATH "$ETALAGE_PYTHON" -m auditwheel repair -w "$work/dist" "$work"/raw/*.whl
wheel=$(ls "$work"/dist/*.whl)
case "$wheel" in
  *manylinux*) say "repaired: $(basename "$wheel"), $(du -h "$wheel" | cut -f1)" ;;
  *)
    say "the repaired wheel has no manylinux tag: $wheel"
    exit 1
    ;;
esac
"$ETALAGE_PYTHON" tests/wheel/check_contents.py "$wheel"

# One environment a NumPy, from a wheelhouse that is filled once: the bare system needs no network.
numpys=("numpy==1.26.4" "numpy>=2")
for i in 0 1; do
  house=$work/wheelhouse/$i
  if [ ! -e "$house/complete" ]; then
    say "downloading ${numpys[i]} and scipy"
    "$python_of_system" -m venv "$work/downloader"
    "$work/downloader/bin/python" -m pip download -q --disable-pip-version-check --only-binary :all: -d "$house" "${numpys[i]}" scipy
    touch "$house/complete"
  fi
done

if [ "$(id -u)" = 0 ] && command -v debootstrap >/dev/null; then
  root=$PWD/build/chroot
  if [ ! -e "$root/complete" ]; then
    say "making a bare Debian system in build/chroot"
    rm -rf "$root"
    debootstrap --variant=minbase --include=python3,python3-venv bookworm "$root" >"$work/debootstrap.log" 2>&1 || {
      tail -n 20 "$work/debootstrap.log"
      exit 1
    }
    touch "$root/complete"
  fi
  # /proc is mounted in a name space of its own, so nothing stays mounted however this ends.
  inside() {
    unshare --mount bash -c 'mount -t proc proc "$0/proc" 2>/dev/null
      exec chroot "$0" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 "$@"' "$root" "$@"
  }
  if inside dpkg-query -W -f '${Package}\n' | grep -E 'openblas|faiss|gomp|gfortran|boost|hwy|^g\+\+|^gcc-12$|numpy|scipy'; then
    say "the bare system is not bare"
    exit 1
  fi
else
  say "no root or no debootstrap: trying the wheel in fresh environments of this machine, not in a bare system"
  root=$work/local
  inside() { env -u LD_LIBRARY_PATH -u PYTHONPATH "$@"; }
fi

for i in 0 1; do
  try=$root/try$i
  rm -rf "$try"
  mkdir -p "$try"
  cp -r "$work/wheelhouse/$i" "$try/wheelhouse"
  cp "$wheel" "$try/wheelhouse/"
  cp tests/wheel/use_installed.py "$try/"
  here=${try#"$root"}
  [ "$root" = "$PWD/build/chroot" ] || here=$try
  inside "$python_of_system" -m venv "$here/venv"
  inside "$here/venv/bin/python" -m pip install -q --disable-pip-version-check --no-index --find-links "$here/wheelhouse" \
    "${numpys[i]}" etalage
  say "with ${numpys[i]}"
  inside "$here/venv/bin/python" -I -W error "$here/use_installed.py" "$here"
done
say "the wheel works"
