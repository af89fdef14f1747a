"""Generator networks, one family per file."""

from model_store.networks.dcgan import Dcgan, dcgan_from_state
from model_store.networks.facts import NetworkFacts
from model_store.networks.mapping import MAPPING_PREFIX, MappingNetwork, MappingOptions
from model_store.networks.stylegan1 import Stylegan1, stylegan1_facts, stylegan1_from_state
from model_store.networks.stylegan2 import Stylegan2, stylegan2_facts, stylegan2_from_state
from model_store.networks.stylegan3 import Stylegan3, stylegan3_facts, stylegan3_from_state

__all__ = [
    "MAPPING_PREFIX",
    "Dcgan",
    "MappingNetwork",
    "MappingOptions",
    "NetworkFacts",
    "Stylegan1",
    "Stylegan2",
    "Stylegan3",
    "dcgan_from_state",
    "stylegan1_facts",
    "stylegan1_from_state",
    "stylegan2_facts",
    "stylegan2_from_state",
    "stylegan3_facts",
    "stylegan3_from_state",
]
