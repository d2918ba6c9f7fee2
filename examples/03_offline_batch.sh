#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A nightly batch job: events in, one file of recommendations a shard out. Kill it at any moment and start it again:
# finished shards are skipped, and a file of its final name is always complete. The next night the model is another one:
# every shard is made anew, and yesterday's stands until then.
#   bash examples/03_offline_batch.sh EVENTS.csv OUT [SHARDS]
set -euo pipefail
events=${1:?usage: 03_offline_batch.sh EVENTS.csv OUT [SHARDS]}
out=${2:?usage: 03_offline_batch.sh EVENTS.csv OUT [SHARDS]}
shards=${3:-4}
python=${ETALAGE_PYTHON:-python3}

mkdir -p "$out"
[ "$out/model.etalage" -nt "$events" ] ||
  "$python" -m etalage train "$events" --model als --param factors=32 --on-error skip --out "$out/model.etalage"
for ((i = 0; i < shards; ++i)); do
  "$python" -m etalage recommend "$out/model.etalage" --k 20 --out "$out/recommendations.csv" --shard "$i/$shards"
done
