"""What enrolled labels are compared with: embeddings of activities the network knows, a bundle's ``references.npz``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgehar.bundle import REFERENCES, Bundle
from edgehar.errors import BundleError


@dataclass(frozen=True, eq=False)
class References:
    """Embeddings of activities the network knows.

    Attributes:
        embeddings: ``[R, E]`` int8.
        people: ``[R]`` whose window it is, of at least two people.
    """

    embeddings: NDArray[np.int8]
    people: NDArray[np.int16]


def read_references(bundle: Bundle) -> References:
    """Return the bundle's references.

    Raises:
        BundleError: there are none, or they do not fit its embedding.
    """
    where, embedding = bundle.path / REFERENCES, bundle.manifest.embedding
    if REFERENCES not in bundle.manifest.files or embedding is None:
        raise BundleError(f"{where}: is missing, so there is nothing to enrol against; export the model again")
    arrays = bundle.arrays(REFERENCES)
    none = np.empty(0)
    embeddings, people = arrays.get("embeddings", none), arrays.get("people", none)
    fits = embeddings.dtype == np.int8 and people.ndim == 1 and embeddings.shape == (len(people), embedding.width)
    if not fits or len(np.unique(people)) < 2:
        raise BundleError(
            f"{where}: expected int8 embeddings [R, {embedding.width}] and people [R] of at least two people; "
            "export the model again"
        )
    return References(embeddings, people.astype(np.int16))


def find_references(bundle: Bundle) -> References | None:
    """Return the bundle's references, None where it has none to which int8 labels could be enrolled.

    Raises:
        BundleError: they do not fit its embedding.
    """
    embedding = bundle.manifest.embedding
    if embedding is None or embedding.quant.dtype != "int8" or REFERENCES not in bundle.manifest.files:
        return None
    return read_references(bundle)
