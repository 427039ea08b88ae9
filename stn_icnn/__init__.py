"""The STN-iCNN face parsing network and its vocabulary.

Importing this package, `stn_icnn.labels` or `stn_icnn.checkpoint` does not import torch, so that a
program that only runs a compiled engine needs no torch at all.
"""
