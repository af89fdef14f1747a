"""What can go wrong in an offline job.

ExportError
├── FetchError   a package could not be had, or its bytes differ from the pinned hash
├── BankError    a folder is not the sample bank that the job needs
├── ImportFileError  files of others that do not fit each other or the model
├── LabelError   labels are missing or contradict each other
├── EncoderTrainingError  a folder or images that cannot train this encoder
├── WeightManifestError  (labelers/weight_manifest.py) a weight manifest and its binary disagree
└── OnnxMismatchError    (labelers/face_api.py) an exported file computes something else
"""


class ExportError(Exception):
    """Base of every error that `export` raises."""


class FetchError(ExportError):
    """A download that failed or has the wrong hash."""


class BankError(ExportError):
    """A folder that is not a usable sample bank."""


class ImportFileError(ExportError):
    """Files that cannot be imported as asked."""


class LabelError(ExportError):
    """Labels that cannot be used."""


class EncoderTrainingError(ExportError):
    """A run that cannot be continued, or images that do not fit the model."""
