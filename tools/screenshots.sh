#!/usr/bin/env bash
# Make the pictures of README and docs/live.md from the shipped bundle. Usage: tools/screenshots.sh [path to edgehar]
set -euo pipefail
edgehar=$(realpath "${1:-$(command -v edgehar)}")
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$work"' EXIT
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome)

shoot() {  # WIDTH HEIGHT PICTURE ADDRESS [FLAGS]
  width=$1 height=$2 picture=$3 address=$4
  shift 4
  "$browser" --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking \
    --disable-component-update --disable-sync --user-data-dir="$work/profile" --hide-scrollbars \
    --window-size="$width,$height" --screenshot="$PWD/docs/$picture" "$@" "$address"
}

"$edgehar" report zoo:ds_cnn -o "$work/report.html" --engines litert,litert_ref,tflm,onnxruntime
shoot 1180 1560 report.png "file://$work/report.html"
"$edgehar" live zoo:ds_cnn --speed 4 --browser --port 8051 &
sleep 6
shoot 1100 1180 live.png http://127.0.0.1:8051/ --virtual-time-budget=2000
