"""The face detector, landmark and recognition networks of face-api as one file of a model.

Knows nothing about finding faces: model_store/photos does.
"""

from pathlib import Path

from safetensors.torch import save_file

from export.labelers.face_api_networks import to_torch_layout
from export.labelers.weight_manifest import read_weight_manifest
from model_store import FaceFinder

_MANIFESTS = {
    "detector": "model/tiny_face_detector_model-weights_manifest.json",
    "landmarks": "model/face_landmark_68_model-weights_manifest.json",
    "recognition": "model/face_recognition_model-weights_manifest.json",
}


def write_face_networks(package: Path, target: Path) -> Path:
    """All three networks of the unpacked npm package, in half precision, as a safetensors file."""
    tensors = {
        f"{prefix}.{name.replace('/', '.')}": to_torch_layout(name, values).half().contiguous()
        for prefix, manifest in _MANIFESTS.items()
        for name, values in read_weight_manifest(package / manifest).items()
    }
    FaceFinder(tensors)  # names what is missing
    save_file(tensors, target)
    return target
