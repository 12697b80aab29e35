"""Trained model to device files: ONNX in, one typed channels-last graph, one set of integers, many targets out."""
