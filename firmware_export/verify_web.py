"""A page's module run outside of a browser, over the samples that the page itself is checked with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgehar.c_pipeline import raw_outputs
from edgehar.errors import MissingExtraError, VerificationError
from firmware_export.targets.web.page import Page

if TYPE_CHECKING:
    import wasmtime

DECIDED = 2  # of page_push


def verify_page(page: Page, samples: NDArray[np.float32], logits: Sequence[NDArray[np.int8]]) -> int:
    """Push samples through a page's module, and return how many decisions it made.

    Args:
        page: with the module.
        samples: ``[T, C]`` raw samples.
        logits: ``[N, K]`` of each head, expected.

    Raises:
        MissingExtraError: the package ``wasmtime`` is not installed.
        VerificationError: the logits are others.
    """
    try:
        import wasmtime
    except ModuleNotFoundError:
        raise MissingExtraError("wasmtime", "firmware", "target 'web'") from None
    engine = wasmtime.Engine()
    store = wasmtime.Store(engine)
    exports: Any = wasmtime.Instance(store, wasmtime.Module(engine, page.module), []).exports(store)
    memory: wasmtime.Memory = exports["memory"]
    address = exports["page_sample"].value(store)
    if exports["page_reset"](store) != 0:
        raise VerificationError("the page's firmware refuses to begin")
    decisions = []
    for t, row in enumerate(np.ascontiguousarray(samples, "<f4")):
        memory.write(store, row.tobytes(), address)
        if exports["page_push"](store, t) == DECIDED:
            begin = exports["page_decision"](store)
            decisions.append(bytes(memory.read(store, begin, begin + page.decision.itemsize)))
    found = raw_outputs(np.frombuffer(b"".join(decisions), page.decision))
    for index, (have, want) in enumerate(zip(found, logits, strict=True)):
        if not np.array_equal(have, want):
            raise VerificationError(
                f"the page's logits of head {index} are {list(have.shape)}, and not the bundle's golden ones "
                f"{list(want.shape)}; nothing was written"
            )
    return len(decisions)
