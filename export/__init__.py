"""Offline jobs and the `gradctrl` command."""

from export.banks import Bank, BankInfo, make_bank, open_bank
from export.errors import BankError, ExportError, FetchError, LabelError
from export.fetching import PUBLIC_MODELS, fetch_model

__all__ = [
    "PUBLIC_MODELS",
    "Bank",
    "BankError",
    "BankInfo",
    "ExportError",
    "FetchError",
    "LabelError",
    "fetch_model",
    "make_bank",
    "open_bank",
]
