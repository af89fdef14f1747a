# ruff: noqa
# fmt: off
# mypy: ignore-errors
from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Latent(_message.Message):
    __slots__ = ("values", "num_ws")
    VALUES_FIELD_NUMBER: _ClassVar[int]
    NUM_WS_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedScalarFieldContainer[float]
    num_ws: int
    def __init__(self, values: _Optional[_Iterable[float]] = ..., num_ws: _Optional[int] = ...) -> None: ...

class ClassLabel(_message.Message):
    __slots__ = ("index", "weights")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    index: int
    weights: ClassWeights
    def __init__(self, index: _Optional[int] = ..., weights: _Optional[_Union[ClassWeights, _Mapping]] = ...) -> None: ...

class ClassWeights(_message.Message):
    __slots__ = ("values",)
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, values: _Optional[_Iterable[float]] = ...) -> None: ...

class Source(_message.Message):
    __slots__ = ("seed", "latent", "image", "space", "class_label")
    SEED_FIELD_NUMBER: _ClassVar[int]
    LATENT_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    SPACE_FIELD_NUMBER: _ClassVar[int]
    CLASS_LABEL_FIELD_NUMBER: _ClassVar[int]
    seed: int
    latent: Latent
    image: bytes
    space: str
    class_label: ClassLabel
    def __init__(self, seed: _Optional[int] = ..., latent: _Optional[_Union[Latent, _Mapping]] = ..., image: _Optional[bytes] = ..., space: _Optional[str] = ..., class_label: _Optional[_Union[ClassLabel, _Mapping]] = ...) -> None: ...

class Exclusion(_message.Message):
    __slots__ = ("attribute", "top_k")
    ATTRIBUTE_FIELD_NUMBER: _ClassVar[int]
    TOP_K_FIELD_NUMBER: _ClassVar[int]
    attribute: str
    top_k: int
    def __init__(self, attribute: _Optional[str] = ..., top_k: _Optional[int] = ...) -> None: ...

class Exclusions(_message.Message):
    __slots__ = ("items",)
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[Exclusion]
    def __init__(self, items: _Optional[_Iterable[_Union[Exclusion, _Mapping]]] = ...) -> None: ...

class LayerRange(_message.Message):
    __slots__ = ("start", "end")
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    start: int
    end: int
    def __init__(self, start: _Optional[int] = ..., end: _Optional[int] = ...) -> None: ...

class Stop(_message.Message):
    __slots__ = ("probability",)
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    probability: float
    def __init__(self, probability: _Optional[float] = ...) -> None: ...

class AttributeEdit(_message.Message):
    __slots__ = ("attribute", "target", "steps", "step_size", "exclude", "layers", "stop", "method")
    ATTRIBUTE_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    STEP_SIZE_FIELD_NUMBER: _ClassVar[int]
    EXCLUDE_FIELD_NUMBER: _ClassVar[int]
    LAYERS_FIELD_NUMBER: _ClassVar[int]
    STOP_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    attribute: str
    target: str
    steps: int
    step_size: float
    exclude: Exclusions
    layers: LayerRange
    stop: Stop
    method: str
    def __init__(self, attribute: _Optional[str] = ..., target: _Optional[str] = ..., steps: _Optional[int] = ..., step_size: _Optional[float] = ..., exclude: _Optional[_Union[Exclusions, _Mapping]] = ..., layers: _Optional[_Union[LayerRange, _Mapping]] = ..., stop: _Optional[_Union[Stop, _Mapping]] = ..., method: _Optional[str] = ...) -> None: ...

class Output(_message.Message):
    __slots__ = ("format", "quality", "size", "paste_back")
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    QUALITY_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    PASTE_BACK_FIELD_NUMBER: _ClassVar[int]
    format: str
    quality: int
    size: int
    paste_back: bool
    def __init__(self, format: _Optional[str] = ..., quality: _Optional[int] = ..., size: _Optional[int] = ..., paste_back: _Optional[bool] = ...) -> None: ...

class Inversion(_message.Message):
    __slots__ = ("mode", "steps", "space", "align", "max_error")
    MODE_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    SPACE_FIELD_NUMBER: _ClassVar[int]
    ALIGN_FIELD_NUMBER: _ClassVar[int]
    MAX_ERROR_FIELD_NUMBER: _ClassVar[int]
    mode: str
    steps: int
    space: str
    align: bool
    max_error: float
    def __init__(self, mode: _Optional[str] = ..., steps: _Optional[int] = ..., space: _Optional[str] = ..., align: _Optional[bool] = ..., max_error: _Optional[float] = ...) -> None: ...

class InversionErrors(_message.Message):
    __slots__ = ("mse", "psnr", "perceptual", "perceptual_by", "identity")
    MSE_FIELD_NUMBER: _ClassVar[int]
    PSNR_FIELD_NUMBER: _ClassVar[int]
    PERCEPTUAL_FIELD_NUMBER: _ClassVar[int]
    PERCEPTUAL_BY_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    mse: float
    psnr: float
    perceptual: float
    perceptual_by: str
    identity: float
    def __init__(self, mse: _Optional[float] = ..., psnr: _Optional[float] = ..., perceptual: _Optional[float] = ..., perceptual_by: _Optional[str] = ..., identity: _Optional[float] = ...) -> None: ...

class InversionReport(_message.Message):
    __slots__ = ("mode", "space", "steps_taken", "errors", "max_error", "aligned", "seconds")
    MODE_FIELD_NUMBER: _ClassVar[int]
    SPACE_FIELD_NUMBER: _ClassVar[int]
    STEPS_TAKEN_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    MAX_ERROR_FIELD_NUMBER: _ClassVar[int]
    ALIGNED_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    mode: str
    space: str
    steps_taken: int
    errors: InversionErrors
    max_error: float
    aligned: bool
    seconds: float
    def __init__(self, mode: _Optional[str] = ..., space: _Optional[str] = ..., steps_taken: _Optional[int] = ..., errors: _Optional[_Union[InversionErrors, _Mapping]] = ..., max_error: _Optional[float] = ..., aligned: _Optional[bool] = ..., seconds: _Optional[float] = ...) -> None: ...

class EditRequest(_message.Message):
    __slots__ = ("model", "source", "edits", "truncation", "frames", "output", "inversion")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    EDITS_FIELD_NUMBER: _ClassVar[int]
    TRUNCATION_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    INVERSION_FIELD_NUMBER: _ClassVar[int]
    model: str
    source: Source
    edits: _containers.RepeatedCompositeFieldContainer[AttributeEdit]
    truncation: float
    frames: str
    output: Output
    inversion: Inversion
    def __init__(self, model: _Optional[str] = ..., source: _Optional[_Union[Source, _Mapping]] = ..., edits: _Optional[_Iterable[_Union[AttributeEdit, _Mapping]]] = ..., truncation: _Optional[float] = ..., frames: _Optional[str] = ..., output: _Optional[_Union[Output, _Mapping]] = ..., inversion: _Optional[_Union[Inversion, _Mapping]] = ...) -> None: ...

class Frame(_message.Message):
    __slots__ = ("step", "edit", "image", "scores")
    class ScoresEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: ClassScores
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[ClassScores, _Mapping]] = ...) -> None: ...
    STEP_FIELD_NUMBER: _ClassVar[int]
    EDIT_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    SCORES_FIELD_NUMBER: _ClassVar[int]
    step: int
    edit: int
    image: bytes
    scores: _containers.MessageMap[str, ClassScores]
    def __init__(self, step: _Optional[int] = ..., edit: _Optional[int] = ..., image: _Optional[bytes] = ..., scores: _Optional[_Mapping[str, ClassScores]] = ...) -> None: ...

class ClassScores(_message.Message):
    __slots__ = ("classes",)
    class ClassesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    CLASSES_FIELD_NUMBER: _ClassVar[int]
    classes: _containers.ScalarMap[str, float]
    def __init__(self, classes: _Optional[_Mapping[str, float]] = ...) -> None: ...

class EditReport(_message.Message):
    __slots__ = ("attribute", "target", "reached", "steps_taken", "masked", "masked_channels", "kept_norm", "method")
    ATTRIBUTE_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    REACHED_FIELD_NUMBER: _ClassVar[int]
    STEPS_TAKEN_FIELD_NUMBER: _ClassVar[int]
    MASKED_FIELD_NUMBER: _ClassVar[int]
    MASKED_CHANNELS_FIELD_NUMBER: _ClassVar[int]
    KEPT_NORM_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    attribute: str
    target: str
    reached: bool
    steps_taken: int
    masked: _containers.RepeatedCompositeFieldContainer[Exclusion]
    masked_channels: int
    kept_norm: float
    method: str
    def __init__(self, attribute: _Optional[str] = ..., target: _Optional[str] = ..., reached: _Optional[bool] = ..., steps_taken: _Optional[int] = ..., masked: _Optional[_Iterable[_Union[Exclusion, _Mapping]]] = ..., masked_channels: _Optional[int] = ..., kept_norm: _Optional[float] = ..., method: _Optional[str] = ...) -> None: ...

class Receipt(_message.Message):
    __slots__ = ("model_sha256", "seed", "noise", "version", "methods")
    MODEL_SHA256_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    NOISE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    METHODS_FIELD_NUMBER: _ClassVar[int]
    model_sha256: str
    seed: int
    noise: str
    version: str
    methods: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, model_sha256: _Optional[str] = ..., seed: _Optional[int] = ..., noise: _Optional[str] = ..., version: _Optional[str] = ..., methods: _Optional[_Iterable[str]] = ...) -> None: ...

class EditResponse(_message.Message):
    __slots__ = ("request_id", "model", "frames", "latent", "space", "edits", "receipt", "timings_ms", "inversion")
    class TimingsMsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    LATENT_FIELD_NUMBER: _ClassVar[int]
    SPACE_FIELD_NUMBER: _ClassVar[int]
    EDITS_FIELD_NUMBER: _ClassVar[int]
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_MS_FIELD_NUMBER: _ClassVar[int]
    INVERSION_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    model: str
    frames: _containers.RepeatedCompositeFieldContainer[Frame]
    latent: Latent
    space: str
    edits: _containers.RepeatedCompositeFieldContainer[EditReport]
    receipt: Receipt
    timings_ms: _containers.ScalarMap[str, float]
    inversion: InversionReport
    def __init__(self, request_id: _Optional[str] = ..., model: _Optional[str] = ..., frames: _Optional[_Iterable[_Union[Frame, _Mapping]]] = ..., latent: _Optional[_Union[Latent, _Mapping]] = ..., space: _Optional[str] = ..., edits: _Optional[_Iterable[_Union[EditReport, _Mapping]]] = ..., receipt: _Optional[_Union[Receipt, _Mapping]] = ..., timings_ms: _Optional[_Mapping[str, float]] = ..., inversion: _Optional[_Union[InversionReport, _Mapping]] = ...) -> None: ...

class EditStreamRequest(_message.Message):
    __slots__ = ("edit",)
    EDIT_FIELD_NUMBER: _ClassVar[int]
    edit: EditRequest
    def __init__(self, edit: _Optional[_Union[EditRequest, _Mapping]] = ...) -> None: ...

class EditStreamResponse(_message.Message):
    __slots__ = ("frame", "summary")
    FRAME_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    frame: Frame
    summary: EditSummary
    def __init__(self, frame: _Optional[_Union[Frame, _Mapping]] = ..., summary: _Optional[_Union[EditSummary, _Mapping]] = ...) -> None: ...

class EditSummary(_message.Message):
    __slots__ = ("request_id", "model", "latent", "space", "edits", "receipt", "timings_ms", "inversion")
    class TimingsMsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    LATENT_FIELD_NUMBER: _ClassVar[int]
    SPACE_FIELD_NUMBER: _ClassVar[int]
    EDITS_FIELD_NUMBER: _ClassVar[int]
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_MS_FIELD_NUMBER: _ClassVar[int]
    INVERSION_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    model: str
    latent: Latent
    space: str
    edits: _containers.RepeatedCompositeFieldContainer[EditReport]
    receipt: Receipt
    timings_ms: _containers.ScalarMap[str, float]
    inversion: InversionReport
    def __init__(self, request_id: _Optional[str] = ..., model: _Optional[str] = ..., latent: _Optional[_Union[Latent, _Mapping]] = ..., space: _Optional[str] = ..., edits: _Optional[_Iterable[_Union[EditReport, _Mapping]]] = ..., receipt: _Optional[_Union[Receipt, _Mapping]] = ..., timings_ms: _Optional[_Mapping[str, float]] = ..., inversion: _Optional[_Union[InversionReport, _Mapping]] = ...) -> None: ...

class GenerateRequest(_message.Message):
    __slots__ = ("model", "seeds", "latents", "space", "class_label", "truncation", "output")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    SEEDS_FIELD_NUMBER: _ClassVar[int]
    LATENTS_FIELD_NUMBER: _ClassVar[int]
    SPACE_FIELD_NUMBER: _ClassVar[int]
    CLASS_LABEL_FIELD_NUMBER: _ClassVar[int]
    TRUNCATION_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    model: str
    seeds: _containers.RepeatedScalarFieldContainer[int]
    latents: _containers.RepeatedCompositeFieldContainer[Latent]
    space: str
    class_label: ClassLabel
    truncation: float
    output: Output
    def __init__(self, model: _Optional[str] = ..., seeds: _Optional[_Iterable[int]] = ..., latents: _Optional[_Iterable[_Union[Latent, _Mapping]]] = ..., space: _Optional[str] = ..., class_label: _Optional[_Union[ClassLabel, _Mapping]] = ..., truncation: _Optional[float] = ..., output: _Optional[_Union[Output, _Mapping]] = ...) -> None: ...

class GenerateResponse(_message.Message):
    __slots__ = ("model", "images", "latents", "space")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    LATENTS_FIELD_NUMBER: _ClassVar[int]
    SPACE_FIELD_NUMBER: _ClassVar[int]
    model: str
    images: _containers.RepeatedScalarFieldContainer[bytes]
    latents: _containers.RepeatedCompositeFieldContainer[Latent]
    space: str
    def __init__(self, model: _Optional[str] = ..., images: _Optional[_Iterable[bytes]] = ..., latents: _Optional[_Iterable[_Union[Latent, _Mapping]]] = ..., space: _Optional[str] = ...) -> None: ...

class ScoreRequest(_message.Message):
    __slots__ = ("model", "latents")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    LATENTS_FIELD_NUMBER: _ClassVar[int]
    model: str
    latents: _containers.RepeatedCompositeFieldContainer[Latent]
    def __init__(self, model: _Optional[str] = ..., latents: _Optional[_Iterable[_Union[Latent, _Mapping]]] = ...) -> None: ...

class ScoreResponse(_message.Message):
    __slots__ = ("model", "scores")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    SCORES_FIELD_NUMBER: _ClassVar[int]
    model: str
    scores: _containers.RepeatedCompositeFieldContainer[AttributeScores]
    def __init__(self, model: _Optional[str] = ..., scores: _Optional[_Iterable[_Union[AttributeScores, _Mapping]]] = ...) -> None: ...

class AttributeScores(_message.Message):
    __slots__ = ("attributes",)
    class AttributesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: ClassScores
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[ClassScores, _Mapping]] = ...) -> None: ...
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    attributes: _containers.MessageMap[str, ClassScores]
    def __init__(self, attributes: _Optional[_Mapping[str, ClassScores]] = ...) -> None: ...

class InvertRequest(_message.Message):
    __slots__ = ("model", "image", "inversion", "output")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    INVERSION_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    model: str
    image: bytes
    inversion: Inversion
    output: Output
    def __init__(self, model: _Optional[str] = ..., image: _Optional[bytes] = ..., inversion: _Optional[_Union[Inversion, _Mapping]] = ..., output: _Optional[_Union[Output, _Mapping]] = ...) -> None: ...

class InvertResponse(_message.Message):
    __slots__ = ("progress", "result")
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    progress: InvertProgress
    result: InvertResult
    def __init__(self, progress: _Optional[_Union[InvertProgress, _Mapping]] = ..., result: _Optional[_Union[InvertResult, _Mapping]] = ...) -> None: ...

class InvertProgress(_message.Message):
    __slots__ = ("step", "steps", "error")
    STEP_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    step: int
    steps: int
    error: float
    def __init__(self, step: _Optional[int] = ..., steps: _Optional[int] = ..., error: _Optional[float] = ...) -> None: ...

class InvertResult(_message.Message):
    __slots__ = ("model", "latent", "space", "reconstruction", "error", "inversion", "request_id")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    LATENT_FIELD_NUMBER: _ClassVar[int]
    SPACE_FIELD_NUMBER: _ClassVar[int]
    RECONSTRUCTION_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    INVERSION_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    model: str
    latent: Latent
    space: str
    reconstruction: bytes
    error: float
    inversion: InversionReport
    request_id: str
    def __init__(self, model: _Optional[str] = ..., latent: _Optional[_Union[Latent, _Mapping]] = ..., space: _Optional[str] = ..., reconstruction: _Optional[bytes] = ..., error: _Optional[float] = ..., inversion: _Optional[_Union[InversionReport, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class ListModelsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListModelsResponse(_message.Message):
    __slots__ = ("models",)
    MODELS_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedCompositeFieldContainer[Model]
    def __init__(self, models: _Optional[_Iterable[_Union[Model, _Mapping]]] = ...) -> None: ...

class Model(_message.Message):
    __slots__ = ("tag", "default", "name", "family", "resolution", "z_dim", "w_dim", "num_ws", "spaces", "c_dim", "truncation", "truncation_cutoff", "network", "attributes", "provenance", "files", "heads_read", "inversion", "methods", "onnx")
    class FilesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class MethodsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: AttributeNames
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[AttributeNames, _Mapping]] = ...) -> None: ...
    class OnnxEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: OnnxCard
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[OnnxCard, _Mapping]] = ...) -> None: ...
    TAG_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    FAMILY_FIELD_NUMBER: _ClassVar[int]
    RESOLUTION_FIELD_NUMBER: _ClassVar[int]
    Z_DIM_FIELD_NUMBER: _ClassVar[int]
    W_DIM_FIELD_NUMBER: _ClassVar[int]
    NUM_WS_FIELD_NUMBER: _ClassVar[int]
    SPACES_FIELD_NUMBER: _ClassVar[int]
    C_DIM_FIELD_NUMBER: _ClassVar[int]
    TRUNCATION_FIELD_NUMBER: _ClassVar[int]
    TRUNCATION_CUTOFF_FIELD_NUMBER: _ClassVar[int]
    NETWORK_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    PROVENANCE_FIELD_NUMBER: _ClassVar[int]
    FILES_FIELD_NUMBER: _ClassVar[int]
    HEADS_READ_FIELD_NUMBER: _ClassVar[int]
    INVERSION_FIELD_NUMBER: _ClassVar[int]
    METHODS_FIELD_NUMBER: _ClassVar[int]
    ONNX_FIELD_NUMBER: _ClassVar[int]
    tag: str
    default: bool
    name: str
    family: str
    resolution: int
    z_dim: int
    w_dim: int
    num_ws: int
    spaces: _containers.RepeatedScalarFieldContainer[str]
    c_dim: int
    truncation: float
    truncation_cutoff: int
    network: _struct_pb2.Struct
    attributes: _containers.RepeatedCompositeFieldContainer[Attribute]
    provenance: Provenance
    files: _containers.ScalarMap[str, str]
    heads_read: str
    inversion: InversionCard
    methods: _containers.MessageMap[str, AttributeNames]
    onnx: _containers.MessageMap[str, OnnxCard]
    def __init__(self, tag: _Optional[str] = ..., default: _Optional[bool] = ..., name: _Optional[str] = ..., family: _Optional[str] = ..., resolution: _Optional[int] = ..., z_dim: _Optional[int] = ..., w_dim: _Optional[int] = ..., num_ws: _Optional[int] = ..., spaces: _Optional[_Iterable[str]] = ..., c_dim: _Optional[int] = ..., truncation: _Optional[float] = ..., truncation_cutoff: _Optional[int] = ..., network: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., attributes: _Optional[_Iterable[_Union[Attribute, _Mapping]]] = ..., provenance: _Optional[_Union[Provenance, _Mapping]] = ..., files: _Optional[_Mapping[str, str]] = ..., heads_read: _Optional[str] = ..., inversion: _Optional[_Union[InversionCard, _Mapping]] = ..., methods: _Optional[_Mapping[str, AttributeNames]] = ..., onnx: _Optional[_Mapping[str, OnnxCard]] = ...) -> None: ...

class OnnxCard(_message.Message):
    __slots__ = ("opset", "compared_with", "tolerance")
    OPSET_FIELD_NUMBER: _ClassVar[int]
    COMPARED_WITH_FIELD_NUMBER: _ClassVar[int]
    TOLERANCE_FIELD_NUMBER: _ClassVar[int]
    opset: int
    compared_with: str
    tolerance: float
    def __init__(self, opset: _Optional[int] = ..., compared_with: _Optional[str] = ..., tolerance: _Optional[float] = ...) -> None: ...

class InversionCard(_message.Message):
    __slots__ = ("max_error", "measured", "aligns_faces")
    MAX_ERROR_FIELD_NUMBER: _ClassVar[int]
    MEASURED_FIELD_NUMBER: _ClassVar[int]
    ALIGNS_FACES_FIELD_NUMBER: _ClassVar[int]
    max_error: float
    measured: str
    aligns_faces: bool
    def __init__(self, max_error: _Optional[float] = ..., measured: _Optional[str] = ..., aligns_faces: _Optional[bool] = ...) -> None: ...

class AttributeNames(_message.Message):
    __slots__ = ("names",)
    NAMES_FIELD_NUMBER: _ClassVar[int]
    names: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, names: _Optional[_Iterable[str]] = ...) -> None: ...

class Attribute(_message.Message):
    __slots__ = ("name", "classes", "defaults", "validation_accuracy", "validation_samples", "training_samples_per_class", "labelled_by", "latent_std", "side_effects")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CLASSES_FIELD_NUMBER: _ClassVar[int]
    DEFAULTS_FIELD_NUMBER: _ClassVar[int]
    VALIDATION_ACCURACY_FIELD_NUMBER: _ClassVar[int]
    VALIDATION_SAMPLES_FIELD_NUMBER: _ClassVar[int]
    TRAINING_SAMPLES_PER_CLASS_FIELD_NUMBER: _ClassVar[int]
    LABELLED_BY_FIELD_NUMBER: _ClassVar[int]
    LATENT_STD_FIELD_NUMBER: _ClassVar[int]
    SIDE_EFFECTS_FIELD_NUMBER: _ClassVar[int]
    name: str
    classes: _containers.RepeatedScalarFieldContainer[str]
    defaults: EditDefaults
    validation_accuracy: float
    validation_samples: int
    training_samples_per_class: int
    labelled_by: str
    latent_std: float
    side_effects: _containers.RepeatedCompositeFieldContainer[SideEffect]
    def __init__(self, name: _Optional[str] = ..., classes: _Optional[_Iterable[str]] = ..., defaults: _Optional[_Union[EditDefaults, _Mapping]] = ..., validation_accuracy: _Optional[float] = ..., validation_samples: _Optional[int] = ..., training_samples_per_class: _Optional[int] = ..., labelled_by: _Optional[str] = ..., latent_std: _Optional[float] = ..., side_effects: _Optional[_Iterable[_Union[SideEffect, _Mapping]]] = ...) -> None: ...

class SideEffect(_message.Message):
    __slots__ = ("target", "attribute", "swaps", "share")
    TARGET_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTE_FIELD_NUMBER: _ClassVar[int]
    SWAPS_FIELD_NUMBER: _ClassVar[int]
    SHARE_FIELD_NUMBER: _ClassVar[int]
    target: str
    attribute: str
    swaps: _containers.RepeatedCompositeFieldContainer[Swap]
    share: float
    def __init__(self, target: _Optional[str] = ..., attribute: _Optional[str] = ..., swaps: _Optional[_Iterable[_Union[Swap, _Mapping]]] = ..., share: _Optional[float] = ...) -> None: ...

class Swap(_message.Message):
    __slots__ = ("lost", "gained", "rate")
    LOST_FIELD_NUMBER: _ClassVar[int]
    GAINED_FIELD_NUMBER: _ClassVar[int]
    RATE_FIELD_NUMBER: _ClassVar[int]
    lost: str
    gained: str
    rate: float
    def __init__(self, lost: _Optional[str] = ..., gained: _Optional[str] = ..., rate: _Optional[float] = ...) -> None: ...

class EditDefaults(_message.Message):
    __slots__ = ("steps", "step_size", "exclude", "layers", "goal")
    STEPS_FIELD_NUMBER: _ClassVar[int]
    STEP_SIZE_FIELD_NUMBER: _ClassVar[int]
    EXCLUDE_FIELD_NUMBER: _ClassVar[int]
    LAYERS_FIELD_NUMBER: _ClassVar[int]
    GOAL_FIELD_NUMBER: _ClassVar[int]
    steps: int
    step_size: float
    exclude: _containers.RepeatedCompositeFieldContainer[Exclusion]
    layers: LayerRange
    goal: float
    def __init__(self, steps: _Optional[int] = ..., step_size: _Optional[float] = ..., exclude: _Optional[_Iterable[_Union[Exclusion, _Mapping]]] = ..., layers: _Optional[_Union[LayerRange, _Mapping]] = ..., goal: _Optional[float] = ...) -> None: ...

class Provenance(_message.Message):
    __slots__ = ("source", "source_sha256", "licence", "notes")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_SHA256_FIELD_NUMBER: _ClassVar[int]
    LICENCE_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    source: str
    source_sha256: str
    licence: str
    notes: str
    def __init__(self, source: _Optional[str] = ..., source_sha256: _Optional[str] = ..., licence: _Optional[str] = ..., notes: _Optional[str] = ...) -> None: ...
