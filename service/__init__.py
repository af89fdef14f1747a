"""The running service. Its doors are `service.app` for BentoML and `python -m service`."""

__all__: list[str] = []
