"""Draw all pictures of docs/architecture.md anew: `python -m tests.pictures`."""

from __future__ import annotations

from tests.pictures.pictures import FOLDER, pictures

for name, picture in pictures().items():
    (FOLDER / name).write_text(picture, encoding="utf-8")
    print(f"wrote {FOLDER / name}")
