"""`gradctrl evaluate`: methods against each other on one model, from test samples to a report."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch

from editing import EditSettings, Method, PaperGradCtrl
from export.banks import Bank, open_bank_of
from export.errors import LabelError
from export.evaluation.ablations import Variant, label_variants, top_k_variants
from export.evaluation.cells import Bench, Embed
from export.evaluation.judging import Judge, Labeler, make_judge
from export.evaluation.options import EvaluationOptions
from export.evaluation.pool import POOL_FIRST_SEED, Report, judge_pool, make_samples
from export.evaluation.report import write_report
from export.evaluation.running import Results, Run
from export.labels import LABELS_FILE, read_labels
from export.rendering import Renderer
from model_store import ModelCard, StoredModel, card_settings, stored_methods

DEFAULT_JUDGES: Mapping[str, str] = MappingProxyType(
    {"avatars": "avatars-judge", "celeba": "face-api"}
)
_KEY_DIGITS = 16
_PROBE = 4  # images that a labeler is asked about to learn what it knows


@dataclass(frozen=True)
class Judges:
    """Who looks at the images."""

    first: tuple[str, ...] = ()  # labelers; empty: the default of the model
    second: tuple[str, ...] = ()  # confirms; empty: nobody
    embed: Embed | None = None  # of faces, for the identity
    labelers: Mapping[str, Labeler] | None = None  # by name; None: those of `gradctrl label`


def evaluate(
    name: str,
    bank_folder: Path,
    output: Path,
    options: EvaluationOptions,
    judges: Judges,
    report: Report = lambda what, done, total: None,
) -> Path:
    """Run what is missing, write the report and give its path; run again to resume."""
    torch.set_num_threads(1)  # small batches: a second thread makes them slower
    model, bank = open_bank_of(bank_folder, name)
    run = prepare(model, bank_folder, output, options, judges, report)
    results = Results()
    run.methods({one: partial(_method, model, options, one) for one in options.methods}, results)
    run.variants(_variants(model, bank, bank_folder, options, report), results)
    return write_report(run, results)


def prepare(
    model: StoredModel,
    bank_folder: Path,
    output: Path,
    options: EvaluationOptions,
    judges: Judges,
    report: Report,
) -> Run:
    """Test samples, judged, and everything else that edits need."""
    who = judges.first or _default_judge(model)  # before anything is rendered
    psi = model.card.truncation if options.truncation is None else options.truncation
    key = f"{model.card.name}-{options.pool}-psi{psi:g}-{model.card.files['generator.safetensors']}"
    folder = output / "pools" / hashlib.sha256(key.encode()).hexdigest()[:_KEY_DIGITS]
    samples = make_samples(model, folder, options.pool, POOL_FIRST_SEED, psi, report)
    probe = np.asarray(samples.images[:_PROBE])
    first = _judge(who, model, bank_folder, probe, judges)
    second = _judge(judges.second, model, bank_folder, probe, judges) if judges.second else None
    labels = hashlib.sha256((bank_folder / LABELS_FILE).read_bytes()).hexdigest()[:_KEY_DIGITS]
    file = folder / f"{first.name}-{labels}.safetensors"
    pool = judge_pool(samples, first, file, report)
    facts = {
        "judge": first.name,
        "second": second.name if second else None,
        "identity": judges.embed is not None,
        "pool": folder.name,
        "labels": labels,  # retrained heads and the age boundary come from them
    }
    bench = Bench(Renderer(model.generator()), first, pool, second, judges.embed)
    return Run(model, bench, options, output, facts, report)


def _method(model: StoredModel, options: EvaluationOptions, name: str, ends: bool) -> Method:
    """A method that chooses where its walks end, or one that goes on until an image flips."""
    if ends:
        return stored_methods(model, (name,))[name]
    method = stored_methods(model, (name,), partial(_walk_settings, options=options))[name]
    return replace(method, stops=False) if isinstance(method, PaperGradCtrl) else method


def _walk_settings(card: ModelCard, options: EvaluationOptions) -> list[EditSettings]:
    """Of walks that go on until the image flips: no goal, every step of the same size."""
    settings, size = card_settings(card, aims=False), options.step_size
    return settings if size is None else [replace(one, step_size=size) for one in settings]


def _default_judge(model: StoredModel) -> Sequence[str]:
    if model.card.name not in DEFAULT_JUDGES:
        raise LabelError(f"{model.card.name}: give the labelers that judge with --judge")
    return (DEFAULT_JUDGES[model.card.name],)


def _judge(
    names: Sequence[str], model: StoredModel, bank_folder: Path, probe: np.ndarray, judges: Judges
) -> Judge:
    return make_judge(names, model.card.attributes, bank_folder, probe, judges.labelers)


def _variants(
    model: StoredModel, bank: Bank, folder: Path, options: EvaluationOptions, report: Report
) -> list[Variant]:
    heads = model.stacked_heads()
    if heads is None:
        return []

    settings = _walk_settings(model.card, options)
    found = top_k_variants(model.card, heads, settings, options.top_k_shares)
    if options.label_counts:
        labels = read_labels(folder, model.card.attributes)
        counts = options.label_counts
        found += label_variants(model, bank, labels, settings, counts, options.seed, report)
    return found
