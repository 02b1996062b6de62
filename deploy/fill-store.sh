#!/bin/sh
# Train a bundle on a generated shop and promote it, unless the store has a promoted one already.
# Usage: fill-store.sh STORE DATA RUNS [options of `generate`]; `python` is the one on PATH.
set -eu
store=$1
data=$2
runs=$3
shift 3
if [ -s "$store/current" ]; then
    echo "store: $store already serves $(head -n 1 "$store/current")"
    exit 0
fi
echo "store: nothing is promoted in $store; training on a generated shop first (a few minutes)"
python -m training generate "$@" --out "$data/demo-shop"
python -m training train "$data/demo-shop" --store "$store" --runs "$runs" --quick
