"""Scores of whole events: what became of each, how well they match, how long they took, how often they flip."""

from device_sim.events.score import event_scores

__all__ = ["event_scores"]
