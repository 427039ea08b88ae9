"""Benchmarks: engines and pipeline, measured beside each other in one run."""
