"""The student: its towers, its distillation and compression, and the export to ONNX that the service runs."""
