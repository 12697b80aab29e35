"""Write the table of faults in ``docs/faults.md`` again.

python tools/fault_table.py
"""

from pathlib import Path

from device_sim.faults import FAULTS
from edgehar.files import write_atomic

PAGE = Path(__file__).parents[1] / "docs" / "faults.md"
HEAD = "|---|---|---|---|---|\n"


def rows() -> str:
    lines = []
    for name, entry in FAULTS.items():
        severities = ", ".join(f"{severity:g}" for severity in entry.severities)
        accepted = f"{entry.lowest:g} to {entry.highest:.7g}"
        lines.append(f"| `{name}` | {entry.unit} | {entry.what} | {severities} | {accepted} |\n")
    return "".join(lines)


def page(text: str) -> str:
    before, _, after = text.partition(HEAD)
    return f"{before}{HEAD}{rows()}\n{after.partition(chr(10) * 2)[2]}"


if __name__ == "__main__":
    write_atomic(PAGE, page(PAGE.read_text("utf-8")).encode())
