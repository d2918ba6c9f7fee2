#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# From a clean clone to ranked products: sets up what it needs (Debian packages, a Python environment in .venv), builds
# the library and the Python package, and plays a made-up shop through them. A second run builds only what has changed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tests/support/setup.sh

out=${1:-out/quickstart}
setup_system
setup_python examples/requirements.txt
build_python_package
echo
"$ETALAGE_PYTHON" -m etalage demo --out "$out"
