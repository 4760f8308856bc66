"""`--update` changes output blocks and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from handbook.pages.page import read_page
from handbook.pages.rewrite import rewrite

PAGE = """# Page

!!! note

    ```bash
    echo
    ```

    ```{.text .output}
    old

    older
    ```

```{.json .output}
```

The end."""


def test_only_the_output_changes(tmp_path: Path) -> None:
    file = tmp_path / "page.md"
    file.write_text(PAGE)
    blocks = read_page(file).blocks
    assert rewrite(file, [(blocks[1], "new\n\nnewer"), (blocks[2], '{"a": 1}')]) == 2
    assert file.read_text() == PAGE.replace("old\n", "new\n").replace("    older", "    newer").replace(
        ".output}\n```\n\nThe", '.output}\n{"a": 1}\n```\n\nThe'
    )


def test_a_page_that_was_edited_meanwhile_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "page.md"
    file.write_text(PAGE)
    blocks = read_page(file).blocks
    edited = f"One more line.\n\n{PAGE}"
    file.write_text(edited)
    with pytest.raises(RuntimeError, match="edited meanwhile"):
        rewrite(file, [(blocks[1], "new")])
    assert file.read_text() == edited
    assert [path.name for path in tmp_path.iterdir()] == ["page.md"]


def test_what_would_close_the_fence_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "page.md"
    file.write_text(PAGE)
    with pytest.raises(RuntimeError, match="would close the fence"):
        rewrite(file, [(read_page(file).blocks[1], "a\n```\nb")])
    assert file.read_text() == PAGE


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_other_line_separators_are_text(tmp_path: Path, ending: str) -> None:
    file = tmp_path / "page.md"
    page = PAGE.replace("# Page", "# Page\u2028of \x0c one").replace("\n", ending)
    file.write_text(page, newline="")
    assert rewrite(file, [(read_page(file).blocks[1], "new")]) == 1
    assert file.read_bytes().decode() == page.replace(f"old{ending}{ending}    older", "new")
