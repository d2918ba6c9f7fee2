#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# only_tables.sh object...: objects compiled for one instruction set may define nothing but their tables. Anything weak
# (inline functions, templates) could be kept by the linker for callers on CPUs without that instruction set.
set -euo pipefail
[ $# -gt 0 ] || { echo "no objects given"; exit 1; }
bad=0
for object in "$@"; do
  # type and name of every symbol that other objects can see
  while read -r type symbol; do
    case "$type:$symbol" in
      [DRB]:*_table) ;;
      *) echo "$object defines $symbol (nm type $type)"; bad=1 ;;
    esac
  done < <(nm -C --defined-only --format=posix "$object" | sed -E 's/^(.*) ([A-Za-z]) [0-9a-f]+( [0-9a-f]+)?$/\2 \1/' | grep -E '^[A-Zuvw] ')
done
[ "$bad" -eq 0 ] && echo "$# objects define tables only"
exit "$bad"
