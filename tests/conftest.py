"""Shared by all tests. pytest puts this folder on the import path, so tests can import the helpers beside it."""
