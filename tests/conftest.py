"""Shared by all tests. pytest puts this folder on the import path, so tests can import the helpers beside it."""

import signal

# A shell that starts us in the background has Ctrl-C ignored, and programs that tests interrupt would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
