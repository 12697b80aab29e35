"""The architectures on one input, which stand alone or as parts of a fusion."""

from __future__ import annotations

from edgehar.models import bilstm, cnn1d, deepconvlstm, ds_cnn, joint, lstm, mlp, tcn, transformer
from edgehar.models.entry import FEATURES, ModelEntry, of_features, of_window

BACKBONES: dict[str, ModelEntry] = {
    "ds_cnn": ModelEntry(ds_cnn.Config, of_window(ds_cnn.DsCnn), ds_cnn.TINY, ds_cnn.SOURCE),
    "cnn1d": ModelEntry(cnn1d.Config, of_window(cnn1d.Cnn1d), cnn1d.TINY, cnn1d.SOURCE),
    "tcn": ModelEntry(tcn.Config, of_window(tcn.Tcn), tcn.TINY, tcn.SOURCE),
    "transformer": ModelEntry(
        transformer.Config, of_window(transformer.Transformer), transformer.TINY, transformer.SOURCE
    ),
    "lstm": ModelEntry(lstm.Config, of_window(lstm.Lstm), lstm.TINY, lstm.SOURCE),
    "bilstm": ModelEntry(bilstm.Config, of_window(bilstm.BiLstm), bilstm.TINY, bilstm.SOURCE),
    "deepconvlstm": ModelEntry(
        deepconvlstm.Config, of_window(deepconvlstm.DeepConvLstm), deepconvlstm.TINY, deepconvlstm.SOURCE
    ),
    "joint": ModelEntry(joint.Config, of_window(joint.Joint), joint.TINY, joint.SOURCE),
    "mlp": ModelEntry(mlp.Config, of_features(mlp.Mlp), mlp.TINY, mlp.SOURCE, FEATURES),
}
