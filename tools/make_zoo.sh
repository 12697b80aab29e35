#!/usr/bin/env bash
# Train and export the bundles that ship inside the package. Usage: tools/make_zoo.sh [path to edgehar]
set -euo pipefail
edgehar=$(realpath "${1:-$(command -v edgehar)}")
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$edgehar" train --model ds_cnn --dataset hapt --seed 0 --out "$work/ds_cnn"
"$edgehar" export "$work/ds_cnn" --slim --out edgehar/zoo/ds_cnn.edgehar
