"""Omniglot: 1,623 characters of 50 alphabets, each drawn once by 20 people, 28 × 28 pixels. Images, for few-shot work.

Not a line of ``DATASETS``, which holds recordings. Whole alphabets are held out: the 20 of the authors' evaluation
set, whose characters are in no training image.

Source: B. Lake, R. Salakhutdinov, J. Tenenbaum, "Human-level concept learning through probabilistic program
induction", Science 350, 2015. Licence: MIT.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgehar.arrays import DAMAGED_NPZ
from edgehar.datasets.cache import find_in_source_folders, source_folders
from edgehar.datasets.checksums import check_sha256, known_sha256
from edgehar.errors import DataError

FILE_NAME = "omniglot_28.npz"
SIZE = 28  # pixels a side
_REMEDY = f"put the file {FILE_NAME!r}, the re-encoded data set, into a folder and set EDGEHAR_DATA to it"


@dataclass(frozen=True, eq=False)
class Drawings:
    """Drawings with what they show.

    Attributes:
        images: ``[N, 28, 28]`` float32, ink 1 on paper 0.
        character: ``[N]`` int64, numbered through all alphabets.
        drawer: ``[N]`` int64; the same number in two alphabets need not be the same person.
        alphabet: ``[N]`` int64.
    """

    images: NDArray[np.float32]
    character: NDArray[np.int64]
    drawer: NDArray[np.int64]
    alphabet: NDArray[np.int64]


def load_omniglot() -> tuple[Drawings, Drawings]:
    """Return the 30 background alphabets (964 characters) to train on and the 20 held-out ones (659).

    Raises:
        DataError: the file is not on this machine, or damaged.
    """
    path = find_in_source_folders((FILE_NAME,))
    if path is None:
        folders = " or ".join(str(folder) for folder in source_folders())
        raise DataError(f"the data set 'omniglot' is not in {folders}; {_REMEDY}")
    check_sha256(path, known_sha256(FILE_NAME), _REMEDY)
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as z:
            character, drawer = z["character"].astype(np.int64), z["drawer"].astype(np.int64)
            _, alphabet = np.unique(z["char_alphabet"], return_inverse=True)
            images = z["images"].astype(np.float32) / 255
            evaluation = z["char_evaluation"][character]
    except (*DAMAGED_NPZ, IndexError) as error:
        raise DataError(f"{path}: not laid out as {FILE_NAME} ({type(error).__name__}: {error}); {_REMEDY}") from error
    everything = (images, character, drawer, alphabet.astype(np.int64)[character])
    background, held_out = (Drawings(*(array[part] for array in everything)) for part in (~evaluation, evaluation))
    return background, held_out
