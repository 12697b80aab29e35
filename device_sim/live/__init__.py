"""A device that listens while people move: samples from a file that grows, a pipe, a socket or a serial port.

One sample's way: ``transports`` (bytes) → ``lines`` (stamped samples) → ``pump`` (a thread and a bounded queue) →
``session`` (resampler, device, what it said) → ``terminal`` or ``page``.
"""
