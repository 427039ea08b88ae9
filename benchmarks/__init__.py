"""Benchmarks: engines, pipeline, accuracy and peers, measured beside each other in one run."""
