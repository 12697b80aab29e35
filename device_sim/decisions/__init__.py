"""From logits to an activity and its events; and to the answers of other heads. One stage a file.

A window's logits pass ``probabilities`` (softmax at a temperature), the prototypes of enrolled labels, one of
``SMOOTHINGS``, ``hysteresis``, ``rejection`` and ``debounce``. ``docs/decision_stage.md`` says what each is for.
"""

from device_sim.decisions.answers import Answering, HeadAnswers
from device_sim.decisions.debounce import Debounce
from device_sim.decisions.probabilities import probabilities_of, softmax
from device_sim.decisions.stage import SMOOTHINGS, DecisionBatch, Decisions, Labelling

__all__ = [
    "SMOOTHINGS",
    "Answering",
    "Debounce",
    "DecisionBatch",
    "Decisions",
    "HeadAnswers",
    "Labelling",
    "probabilities_of",
    "softmax",
]
