"""Client of the GradCtrl image editing service."""

from gradctrl_client.client import Client
from gradctrl_client.errors import GradCtrlError, ServiceUnreachableError
from gradctrl_client.results import AppliedEdit, Edit, Frame, Generated

__all__ = [
    "AppliedEdit",
    "Client",
    "Edit",
    "Frame",
    "Generated",
    "GradCtrlError",
    "ServiceUnreachableError",
]
