"""Ports of published faults: what was reported elsewhere, written again as PyTorch trainings.

They are written from the descriptions, without looking at what smokestep would say, and stay as they are when it misses
them: the rate is published in docs/ports.md, from before the checks were tuned on them and as it is now.
"""
