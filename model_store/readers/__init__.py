"""Checkpoint readers, one file per format; none of them runs code of a file."""

from model_store.readers.checkpoint import DCGAN_FORMAT, FORMATS, read_checkpoint
from model_store.readers.dcgan import read_dcgan
from model_store.readers.gradctrl_classifiers import read_gradctrl_classifiers

__all__ = ["DCGAN_FORMAT", "FORMATS", "read_checkpoint", "read_dcgan", "read_gradctrl_classifiers"]
