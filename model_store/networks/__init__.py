"""Generator networks, one family per file."""

from model_store.networks.dcgan import Dcgan, dcgan_from_state

__all__ = ["Dcgan", "dcgan_from_state"]
