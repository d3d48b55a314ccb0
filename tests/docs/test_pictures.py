"""The pictures of the documentation show what the package draws today."""

import re
import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def words(svg):
    """What a reader reads in a picture, in its order."""
    return [text for text in re.findall(r">([^<>]+)<", svg) if text.strip()]


def test_pictures_are_of_today(tmp_path):
    subprocess.run([sys.executable, str(DOCS / "pictures.py"), str(tmp_path)], check=True)
    drawn = sorted(tmp_path.glob("*.svg"))
    assert len(drawn) == 1
    for picture in drawn:
        kept = (DOCS / "images" / picture.name).read_text()
        assert words(kept) == words(picture.read_text()), "python docs/pictures.py draws it again"
        assert {"w", "y_hat", "loss"} <= set(words(kept))
