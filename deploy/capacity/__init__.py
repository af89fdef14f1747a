"""A day of traffic through queue and autoscaler: what a scaling rule costs and what it holds."""
