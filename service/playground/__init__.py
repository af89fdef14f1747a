"""The web page at /playground: its files, and the routes that serve them."""

from service.playground.pages import add_playground

__all__ = ["add_playground"]
