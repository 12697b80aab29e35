#!/usr/bin/env bash
# Make the README's picture from the shipped bundle. Usage: tools/screenshots.sh [path to edgehar]
set -euo pipefail
edgehar=$(realpath "${1:-$(command -v edgehar)}")
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome)
"$edgehar" report zoo:ds_cnn -o "$work/report.html" --engines litert,litert_ref,tflm,onnxruntime
"$browser" --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking \
  --disable-component-update --disable-sync --user-data-dir="$work/profile" --hide-scrollbars \
  --window-size=1180,1560 --screenshot="$PWD/docs/report.png" "file://$work/report.html"
