import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_wheel_holds_every_file_of_the_package_and_its_types(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel"]
    subprocess.run([*build, "--directory", str(tmp_path)], cwd=ROOT, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as file:
        packed = {name for name in file.namelist() if name.startswith("headrace/")}
    files = (path for path in (ROOT / "src/headrace").rglob("*") if path.is_file())
    here = {path.relative_to(ROOT / "src").as_posix() for path in files if path.suffix != ".pyc"}
    assert packed == here
    assert "headrace/py.typed" in packed
