#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The command line on real input: the invoices of a gift shop (Online Retail II) and film ratings (MovieLens), so that a
# reader sees whether the recommendations make sense. Data: $ETALAGE_DATA, else ../shared/data; skips without it.
#   bash examples/real_data.sh [OUT]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
data=${ETALAGE_DATA:-../shared/data}
out=${1:-out/real_data}
python=${ETALAGE_PYTHON:-.venv/bin/python}
# What quickstart.sh and tests/run.sh have built; an installed etalage otherwise.
if [ -z "${PYTHONPATH:-}" ] && [ -d build/release/python ]; then export PYTHONPATH=$PWD/build/release/python; fi
for file in online-retail/online_retail.parquet movielens-small/ratings.csv.gz movielens-small/movies.csv.gz; do
  [ -f "$data/$file" ] || { echo "skipped: $data/$file is not there (set ETALAGE_DATA)"; exit 0; }
done
mkdir -p "$out"
run() { echo; echo "\$ etalage $*"; "$python" -m etalage "$@"; }

echo "== Online Retail: purchases of a gift shop; a fifth of the lines has no customer and is skipped"
retail=("$data/online-retail/online_retail.parquet" --user "Customer ID" --item StockCode --time InvoiceDate --on-error skip)
names=(--catalog "$data/online-retail/online_retail.parquet" --catalog-item StockCode --catalog-name Description)
model=(--model als --param factors=64 --param regularization=0.01 --param unobserved_weight=0.05 --param alpha=1)
run evaluate "${retail[@]}" "${model[@]}" --split temporal --at 2010-11-01
run train "${retail[@]}" "${model[@]}" --out "$out/retail.etalage"
run recommend "$out/retail.etalage" --user 13085 --user 12346 --user 17850 --k 5 "${names[@]}"
run similar "$out/retail.etalage" 85048 22423 --k 5 "${names[@]}"
run recommend "$out/retail.etalage" --out "$out/retail.parquet" "${names[@]}"
run recommend "$out/retail.etalage" --out "$out/retail.csv" --shard 0/2
run recommend "$out/retail.etalage" --out "$out/retail.csv" --shard 0/2

echo; echo "== MovieLens: films rated from 0.5 to 5"
films=("$data/movielens-small/ratings.csv.gz" --user userId --item movieId --time timestamp --time-unit s --value rating)
names=(--catalog "$data/movielens-small/movies.csv.gz" --catalog-item movieId --catalog-name title)
run evaluate "${films[@]}" "${model[@]}"
run train "${films[@]}" "${model[@]}" --out "$out/films.etalage"
run recommend "$out/films.etalage" --user 15 --user 73 --k 5 "${names[@]}"
run similar "$out/films.etalage" 260 1 --k 5 "${names[@]}"
run info "$out/films.etalage"
