#!/usr/bin/env bash
# Train and export the bundles that ship inside the package. Usage: tools/make_zoo.sh [path to edgehar]
set -euo pipefail
edgehar=$(realpath "${1:-$(command -v edgehar)}")
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
make_one() {  # NAME [option of train ...]
  name=$1
  shift
  "$edgehar" train --dataset hapt --seed 0 "$@" --out "$work/$name"
  "$edgehar" export "$work/$name" --slim --target tflite,onnx,c --out "edgehar/zoo/$name.edgehar"
}
make_one ds_cnn
make_one ds_cnn_3k --config configs/ds_cnn_3k.toml
make_one ds_cnn_30k --config configs/ds_cnn_30k.toml
make_one ds_cnn_multitask --config configs/hapt_multitask.toml
make_one bilstm --model bilstm --set "model_options={layers=1, units=24}"
make_one siamese --config configs/hapt_siamese.toml
