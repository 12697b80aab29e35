"""A simulated 50 Hz device: recordings in, sample by sample; decisions, events, latency and scores out.

Imports numpy, ``edgehar.signal``, ``edgehar.bundle`` and ``edgehar.recording``, nothing heavier; an engine's
interpreter is imported when that engine is asked for.
"""
