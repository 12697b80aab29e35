"""What the heads of a network are asked, what the truth of a window is, and how answers are scored. numpy only.

Training, export and device share these few functions, so a head's score means the same in a run folder, a model card
and ``summary.json``.
"""

from edgehar.heads.answers import UNKNOWN, decide
from edgehar.heads.scores import HeadScores, LabelScores, score_head, share_alike
from edgehar.heads.tables import familiar_tables, power_table, sigmoid_table
from edgehar.heads.task import KINDS, Task, label_sources
from edgehar.heads.truth import agreed_truth, check_names, sample_truth, window_truth

__all__ = [
    "KINDS",
    "UNKNOWN",
    "HeadScores",
    "LabelScores",
    "Task",
    "agreed_truth",
    "check_names",
    "decide",
    "familiar_tables",
    "label_sources",
    "power_table",
    "sample_truth",
    "score_head",
    "share_alike",
    "sigmoid_table",
    "window_truth",
]
