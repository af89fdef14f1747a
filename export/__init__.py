"""Offline jobs. Their door is the `gradctrl` command: `export.entry`, which serves without them."""

__all__: list[str] = []
