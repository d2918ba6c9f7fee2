# SPDX-License-Identifier: Apache-2.0
# Sourced by tests/run.sh and examples/quickstart.sh from the repository's root: installs what is missing, says what it
# does, and does nothing on a machine that has it all.

say() { printf '== %s\n' "$*"; }

# as_root COMMAND...: as it is for root, else by sudo.
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# install_packages FILE: the Debian packages of a list that are not installed yet.
install_packages() {
  command -v dpkg-query >/dev/null || {
    say "not a Debian system: please have the packages of $1 installed"
    return 0
  }
  local missing=() package
  while read -r package; do
    [ -z "$package" ] || [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
      missing+=("$package")
  done <"$1"
  [ "${#missing[@]}" -gt 0 ] || return 0
  say "installing Debian packages: ${missing[*]}"
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# setup_system: what the library and its Python package are built with.
setup_system() { install_packages tests/support/packages.txt; }

# setup_python [REQUIREMENTS]: .venv with the listed Python packages; sets ETALAGE_PYTHON.
setup_python() {
  local requirements=${1:-tests/requirements.txt} base=/usr/bin/python3 stamp
  # The system's interpreter, whose headers python3-dev brings; another one only where there is none.
  [ -x "$base" ] || base=$(command -v python3)
  "$base" -c 'import sys; sys.exit(sys.version_info < (3, 9))' || {
    say "$base is too old, Python 3.9 or newer is needed"
    return 1
  }
  ETALAGE_PYTHON=$PWD/.venv/bin/python
  stamp=.venv/$(basename "$requirements").installed
  if [ ! -x "$ETALAGE_PYTHON" ]; then
    say "making a Python environment in .venv"
    "$base" -m venv .venv
  fi
  if ! cmp -s "$requirements" "$stamp"; then
    say "installing Python packages: $(tr '\n' ' ' <"$requirements")"
    "$ETALAGE_PYTHON" -m pip install -q --disable-pip-version-check -r "$requirements"
    cp "$requirements" "$stamp"
  fi
  export ETALAGE_PYTHON
}

# setup_spark: Java where there is none, and PySpark in .venv; without either its tests skip.
setup_spark() {
  command -v java >/dev/null || install_packages tests/support/packages_spark.txt ||
    say "no Java could be installed: the tests of Spark are skipped"
  "$ETALAGE_PYTHON" -c 'import pyspark' 2>/dev/null || {
    say "installing PySpark"
    "$ETALAGE_PYTHON" -m pip install -q --disable-pip-version-check 'pyspark==4.*' >build/pyspark.log 2>&1 ||
      say "PySpark could not be installed: the tests of Spark are skipped"
  }
}

# configure FOLDER OPTION...: CMake with Ninja, and ccache where it is there; quick when nothing has changed.
configure() {
  local folder=$1
  shift
  local launcher=()
  # Paths below this clone count as relative ones, so that another clone of the same sources is served too.
  export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1
  command -v ccache >/dev/null && launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache -DCMAKE_C_COMPILER_LAUNCHER=ccache)
  cmake -S . -B "$folder" -G Ninja "${launcher[@]}" "$@" >"$folder.log" 2>&1 || {
    cat "$folder.log"
    return 1
  }
}

# build FOLDER [TARGET...]: says every half minute how far it is, then what went wrong or how long it took.
build() {
  local folder=$1 started=$SECONDS said failed=
  shift
  say "building $folder"
  # Ends with this shell, however that ends; the sleep holds no output open.
  (while sleep 30 >/dev/null 2>&1 && kill -0 $$ 2>/dev/null; do
    say "building $folder: step $(grep -oE '^\[[0-9]+/[0-9]+\]' "$folder.log" | tail -n 1), $((SECONDS - started)) s"
  done) &
  said=$!
  NINJA_STATUS='[%f/%t] ' ninja -C "$folder" "$@" >"$folder.log" 2>&1 || failed=1
  kill "$said" 2>/dev/null
  wait "$said" 2>/dev/null || true
  if [ -n "$failed" ]; then
    tail -n 60 "$folder.log"
    return 1
  fi
  say "built $folder in $((SECONDS - started)) s"
}

# build_python_package: the extension module in build/release, importable by PYTHONPATH=build/release/python.
build_python_package() {
  mkdir -p build
  configure build/release -DCMAKE_BUILD_TYPE=Release -DETALAGE_UNITY=ON -DETALAGE_BUILD_PYTHON=ON -DETALAGE_BUILD_TESTS=OFF \
    -DETALAGE_BUILD_EXAMPLES=OFF -DPython_EXECUTABLE="$ETALAGE_PYTHON" &&
    build build/release
  export PYTHONPATH=$PWD/build/release/python
}
