"""Image classifiers that label a bank."""
