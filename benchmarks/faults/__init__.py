"""Faults on the real service, under load, with every answer checked."""
