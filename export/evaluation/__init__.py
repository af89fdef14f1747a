"""Compares ways to edit a model, judged by image classifiers: `gradctrl evaluate`."""

from export.evaluation.evaluating import Judges, evaluate
from export.evaluation.judging import Judge, make_judge
from export.evaluation.options import EvaluationOptions
from export.evaluation.protocols import PROTOCOLS

__all__ = ["PROTOCOLS", "EvaluationOptions", "Judge", "Judges", "evaluate", "make_judge"]
