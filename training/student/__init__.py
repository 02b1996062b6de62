"""The student: its towers, their distillation, and the ONNX that is served."""
