"""One HTML file that runs a bundle's firmware in a browser: a phone's own sensors, or a recording (``page.py``)."""

from __future__ import annotations

from firmware_export.targets.web.page import Page, write_page

__all__ = ["Page", "write_page"]
