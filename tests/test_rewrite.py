"""`--update` changes output blocks and nothing else."""

from __future__ import annotations

from pathlib import Path

from handbook.page import read_page
from handbook.rewrite import rewrite

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
