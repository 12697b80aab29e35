"""The wheel holds every file of the three packages that git tracks, and nothing else."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("edgehar", "firmware_export", "device_sim")
BUILD_FILES = ("pyproject.toml", "README.md", "LICENSE")


def tracked(*paths):
    done = subprocess.run(["git", "ls-files", "-z", *paths], cwd=ROOT, capture_output=True, text=True, check=True)
    return {name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()}


def test_wheel_holds_what_git_tracks(tmp_path):
    files = tracked(*PACKAGES)
    for name in files | set(BUILD_FILES):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, tmp_path / name)
    build = [sys.executable, "-m", "build", "--wheel", "--outdir", "dist", "."]
    done = subprocess.run(build, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    (wheel,) = (tmp_path / "dist").iterdir()
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert inside == files
