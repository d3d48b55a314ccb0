"""Whether karpathy's distribution `micrograd` and this one were installed over each other.

Both have the import name micrograd, so pip writes both into one folder and says nothing.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from hashlib import sha256
from importlib.metadata import Distribution, distributions
from pathlib import Path, PurePosixPath

OURS, THEIRS = "micrograd-core", "micrograd"
MEND = f"pip uninstall {THEIRS} {OURS}, then pip install {OURS}"

FOREIGN = f"micrograd/__init__.py is not that of {OURS}: {MEND}"


def collision(package: Path) -> str | None:
    """What became of `package`, the folder micrograd, if both distributions lie in it.

    None where only one does. The hashes that pip recorded tell whose file is on the disk.
    """
    theirs, ours = (_installed_in(package, name) for name in (THEIRS, OURS))
    if theirs is None or ours is None:
        return None
    who = f"karpathy's micrograd {theirs.version}"
    hashes_of_theirs, hashes_of_ours = _hashes(theirs), _hashes(ours)
    both = sorted(hashes_of_theirs.keys() & hashes_of_ours.keys())
    overwritten = [name for name in both if _digest(package.parent / name) != hashes_of_ours[name]]
    if overwritten:
        return f"{who} was installed over {OURS} and wrote {', '.join(overwritten)}: {MEND}"
    return f"{OURS} was installed over {who}, which is gone but for its name: {MEND}"


def _installed_in(package: Path, name: str) -> Distribution | None:
    """The distribution of this name whose files lie in `package`; editable ones have none there."""
    start = f"{package.name}/__init__.py"
    for found in distributions(name=name):
        located = Path(str(found.locate_file(start)))
        if start in map(str, found.files or ()) and located.resolve() == (
            package.resolve() / "__init__.py"
        ):
            return found
    return None


def _hashes(distribution: Distribution) -> dict[str, str]:
    """The recorded SHA-256 of each Python file of the package, as pip writes it."""
    return {
        str(file): file.hash.value
        for file in distribution.files or ()
        if file.hash is not None and PurePosixPath(file).suffix == ".py" and file.parts[0] != ".."
    }


def _digest(path: Path) -> str | None:
    """The SHA-256 of a file as pip writes it; None where it is gone."""
    if not path.is_file():
        return None
    return urlsafe_b64encode(sha256(path.read_bytes()).digest()).rstrip(b"=").decode()
