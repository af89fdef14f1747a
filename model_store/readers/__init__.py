"""Checkpoint readers, one file per format."""

from model_store.readers.dcgan import read_dcgan

__all__ = ["read_dcgan"]
