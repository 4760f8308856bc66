#!/usr/bin/env bash
# Compares what a node exports with the list of expected metrics, snippets/metrics.yml, both ways.
# verify_metrics_coverage.sh [URL] [OPTIONS of `handbook metrics`]; URL is $METRICS or http://127.0.0.1:9898/metrics.
# Status 0: all as expected. 1: a metric is missing, unknown or not as listed. 2: there was nothing to compare.
set -euo pipefail
here=$(cd -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")" && pwd)
handbook="$here/.venv/bin/handbook"
if [[ ! -x $handbook ]]; then
  handbook=$(command -v handbook) || {
    echo "Error: the command handbook is not installed" >&2
    echo "  hint: make -C '$here' .venv/ready" >&2
    exit 2
  }
fi
if [[ ${1:-} == - || ${1:-} == [!-]* ]]; then
  set -- --url "$@"
fi
exec "$handbook" metrics "$@"
