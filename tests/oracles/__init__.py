"""Slow, plain restatements of what the package computes quickly, written from the sources and sharing no code."""
