"""`report.md` of an evaluation, with its plots, sheets and table of edits."""

from collections.abc import Sequence
from pathlib import Path

from export.evaluation.edits_csv import write_edits
from export.evaluation.plots import correlated_pair, plot_ablation, plot_dependency, plot_slopes
from export.evaluation.protocols import FAR_END, FAR_OTHERS, FAR_START, PROTOCOLS
from export.evaluation.running import Results, Run
from export.evaluation.scores import FAR_LEVEL, LEVELS, by_method
from export.evaluation.sheets import save_sheet
from export.evaluation.tables import (
    Cells,
    differences_table,
    markdown,
    rates_table,
    summary_table,
)

REPORT_FILE = "report.md"
EDITS_FILE = "edits.csv"
_LOW, _HIGH = FAR_START
_RULES = {
    "near": "Starts: the samples nearest to the boundaries of all attributes. The edit ends at the "
    "first frame that the judge calls the target.",
    "near-own": "Starts: the samples nearest to the boundary of the edited attribute. The edit "
    "ends at the first frame that the judge calls the target.",
    "far": f"Starts: the target's margin {-_HIGH} to {-_LOW} standard deviations on the wrong "
    f"side, the other attributes at least {FAR_OTHERS} off their boundaries. The edit ends "
    f"{FAR_END} past the boundary.",
    "default": "Starts: random samples, a random other class. The card's number of steps, no "
    "stop; only the last frame counts.",
}


def write_report(run: Run, results: Results) -> Path:
    """Everything that can be said about the results, in the folder of the run."""
    names = [one.name for one in run.bench.judge.attributes]
    write_edits(
        results.cells + [one for _, one in results.ablations],
        run.bench.pool,
        run.bench.judge.attributes,
        run.folder / EDITS_FILE,
    )
    parts = [_head(run)]
    for protocol in run.options.protocols:
        cells = by_method([one for one in results.cells if one.protocol == protocol])
        if cells:
            parts.append(_protocol_section(run, protocol, cells, names))
    parts += [_ablation_section(run, results), _sheets_section(run, results)]
    if results.omitted:
        rows = [[*labels, reason] for labels, reason in results.omitted.items()]
        parts.append("## Left out\n\n" + markdown(["protocol", "method", "attribute", "why"], rows))
    path = run.folder / REPORT_FILE
    path.write_text("\n\n".join(part for part in parts if part) + "\n")
    return path


def _head(run: Run) -> str:
    options, info = run.options, run.bench.pool.bank.info
    last = info.first_seed + info.samples - 1
    second = run.bench.second.name if run.bench.second else "none"
    size = options.step_size
    long = "" if size is None else f" of {size:g} where not a method's own"
    lines = [
        f"# Evaluation of {run.model.tag}",
        "",
        f"Judge: {run.bench.judge.name}. Second judge: {second}. Test samples: seeds "
        f"{info.first_seed} to {last}, psi {info.truncation}, from which up to "
        f"{options.samples} edits per attribute and protocol start, the same ones for every "
        f"method; at most {options.steps} steps{long}. Seed {options.seed}.",
        "",
        "Success: the edit arrived, by the rule of the protocol. Accuracy: and every other judged "
        "attribute kept its class. In brackets: 95 % bootstrap intervals. Differences are paired: "
        "the same starts. Margins are log-odds of a class; sigma is their standard deviation over "
        "the unedited test samples. Attribute dependency: mean over the other attributes of "
        "|change of margin| / sigma when the target's margin first has moved by the level. "
        "Confirmed, identity and walked are means over edits that arrived.",
    ]
    return "\n".join(lines)


def _protocol_section(run: Run, protocol: str, cells: Cells, names: Sequence[str]) -> str:
    reference = next(iter(cells))
    parts = [
        f"## {protocol}\n\n{_RULES[protocol]}",
        "### Accuracy\n\n" + rates_table(cells, names, "accuracy"),
        "### Success\n\n" + rates_table(cells, names, "success"),
    ]
    if len(cells) > 1:
        parts.append(
            f"### Accuracy of {reference} minus each other\n\n"
            + differences_table(cells, names, "accuracy")
        )
        parts.append(
            f"### Attribute dependency of {reference} minus each other\n\nAt a change of "
            f"{LEVELS.get(protocol, FAR_LEVEL)} sigma, of edits in which both got there; below "
            "zero is better.\n\n" + differences_table(cells, names, "dependency")
        )
    parts.append("### Further measures\n\n" + summary_table(cells))
    if PROTOCOLS[protocol].every_frame:
        parts += _pictures(run, protocol, cells, names)
    return "\n\n".join(parts)


def _pictures(run: Run, protocol: str, cells: Cells, names: Sequence[str]) -> list[str]:
    file = f"dependency_{protocol}.png"
    plot_dependency(cells, names, run.folder / file)
    parts = [f"![mean AD against change, {protocol}]({file})"]
    pool, cards = run.bench.pool, run.bench.judge.attributes
    edited = [a for a in run.attributes if len(cards[a].classes) == 2]
    pair = correlated_pair(pool.margins, edited)
    if pair is not None:
        file = f"slopes_{protocol}.png"
        plot_slopes(cells, pool.sigma, pair, names, run.folder / file)
        parts.append(f"![{names[pair[0]]} against {names[pair[1]]}, {protocol}]({file})")
    return parts


def _ablation_section(run: Run, results: Results) -> str:
    names = [one.name for one in run.bench.judge.attributes]
    channels = run.model.card.head_channels
    titles = {
        "top-k": (f"channels protected for each other attribute, of {channels}", "top_k.png"),
        "labels": ("labels per class", "labels.png"),
    }
    parts = []
    for ablation, (label, file) in titles.items():
        own = [one for variant, one in results.ablations if variant.ablation == ablation]
        cells = by_method(own)
        if not cells:
            continue
        plot_ablation(
            results.ablations, ablation, label, run.folder / file, logarithmic=ablation == "labels"
        )
        parts.append(
            f"## Ablation: {label}\n\nProtocol: {run.options.ablation_protocol}; the default walk "
            f"with the card's settings but for this one.\n\n"
            f"### Accuracy\n\n{rates_table(cells, names, 'accuracy')}\n\n"
            f"### Success\n\n{rates_table(cells, names, 'success')}\n\n![{label}]({file})"
        )
    return "\n\n".join(parts)


def _sheets_section(run: Run, results: Results) -> str:
    lines = []
    for attribute in run.attributes:
        name = run.bench.judge.attributes[attribute].name
        for protocol in run.options.protocols:
            found = [
                one
                for one in results.cells
                if one.attribute == attribute and one.protocol == protocol
            ]
            if not found:
                continue
            file = f"sheet_{protocol}_{name}.png"
            save_sheet(found, run.bench.pool, run.folder / file)
            lines.append(f"[{name}, {protocol}]({file})")
    text = "Under each result green: accurate; yellow: arrived, but another attribute changed; "
    return "## Before and after\n\n" + text + "red: did not arrive.\n\n" + " · ".join(lines)
