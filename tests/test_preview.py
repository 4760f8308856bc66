"""The previews of the dashboards: from a shift on the mock that is always the same, drawn with what the JSON says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from handbook import facts, pictures
from handbook.monitoring import dashboards, panels, preview, previews, renumber, shift, units
from handbook.monitoring.panels import Line, Shown
from handbook.pages import inputs
from handbook.tuning.history import History

BOARDS = [dashboards.load_dashboard(file) for file in previews.BOARDS]


@pytest.fixture(scope="module")
def past() -> Iterator[History]:
    with previews.at_work() as found:
        yield found


def test_both_are_drawn_with_every_panel_and_its_data(past: History, tmp_path: Path) -> None:
    drawn = previews.draw_both(past.api, past.start, past.end, tmp_path, previews.NOTE, panels.excused())
    assert panels.check_data(drawn.shown, panels.excused()) == []
    assert [file.name for file in drawn.files] == [
        "treasury-light.svg", "treasury-dark.svg", "energy-light.svg", "energy-dark.svg",
    ]  # fmt: skip
    assert drawn.summary().startswith("42 panels, 54 queries: 49 return data, 5 do not\n")
    again = previews.draw_both(past.api, past.start, past.end, tmp_path / "again", previews.NOTE, panels.excused())
    assert [file.read_bytes() for file in drawn.files] == [file.read_bytes() for file in again.files]
    assert len({file.read_bytes() for file in drawn.files}) == 4


def test_the_shift_is_the_same_each_time_and_ends_well(tmp_path: Path) -> None:
    texts = []
    for name in ("a", "b"):
        texts.append([text for _, text, _ in shift.scrapes(tmp_path / name, 60)])
        assert len(texts[-1]) == 60
    assert texts[0] == texts[1]


def test_the_shift_pays_reads_and_settles(past: History) -> None:
    for query, least in (
        ('governance_disbursements_total{status="executed"}', 50),
        ("energy_readings_total", 500),
        ("sum(energy_settlement_total)", 100),
        ("rpc_bans_total", 1),
    ):
        ((_, value),) = past.api.now(query, past.end)
        assert value >= least, query


def test_every_type_and_unit_of_the_dashboards_can_be_drawn() -> None:
    every = [panel for board in BOARDS for _, panel in renumber.panels(board.data)]
    types = {panel["type"] for panel in every} - {*panels.NOT_DRAWN}
    assert types == preview.DRAWN.keys()
    used = {panel["fieldConfig"]["defaults"]["unit"] for panel in every if panel["type"] not in panels.NOT_DRAWN}
    assert used - units.UNITS.keys() == set()
    assert len(used) >= 5


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0, "s", "0 s"), (0.0032, "s", "3.2 ms"), (90, "s", "1.5 min"), (87_000, "s", "1.01 d"),
        (0.973, "percentunit", "97.3 %"), (15_000, "short", "15 k"), (7, "short", "7"), (10e9, "bytes", "9.31 GiB"),
        (2e6, "decbytes", "2 MB"), (0.25, "reqps", "0.25 req/s"), (1500, "cps", "1.5 k/s"), (float("nan"), "s", ""),
    ],
)  # fmt: skip
def test_values_are_shown_with_their_unit(value: float, unit: str, text: str) -> None:
    assert units.shown_as(value, unit) == text


def test_a_unit_that_is_not_known_is_an_error() -> None:
    with pytest.raises(KeyError, match="furlongs"):
        units.shown_as(1, "furlongs")


def test_a_hole_in_the_data_is_a_hole_in_the_line() -> None:
    from datetime import UTC, datetime

    times = [datetime.fromtimestamp(at, UTC) for at in (0, 60, 120, 300, 360)]
    runs = preview._pieces(times, [1.0, 2.0, 3.0, 4.0, 5.0])
    assert [values for _, values in runs] == [[1.0, 2.0, 3.0], [4.0, 5.0]]


def test_a_panel_with_nothing_says_so_and_why(tmp_path: Path) -> None:
    board = BOARDS[1]
    one = next(panel for _, panel in renumber.panels(board.data) if panel["id"] == 209)
    for lines in ((), (Line("x", ()),)):
        sheet = preview.Sheet(
            board, [Shown("energy/209", one, "", lines, 1, ("q",))], 0, 60, "note", {"energy/209": "why"}
        )
        assert len(preview.draw(sheet, tmp_path)) == 2


def test_a_picture_stands_on_the_page_only_if_it_is_of_this_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "HOME", tmp_path)
    folder = tmp_path / "dashboards"
    folder.mkdir()
    marker = "<!-- picture: dashboards/treasury: The treasury dashboard -->"
    note = 'class="not-drawn"'
    assert note in pictures.placed(marker, "monitoring.md")
    for scheme in ("light", "dark"):
        (folder / f"treasury-{scheme}.svg").write_text("<svg/>")
    assert note in pictures.placed(marker, "monitoring.md"), "nothing says what it was drawn from"
    pictures.stamp(folder)
    shown = pictures.placed(marker, "monitoring.md")
    assert "![The treasury dashboard](pictures/dashboards/treasury-light.svg#only-light)" in shown
    assert "pictures/dashboards/treasury-dark.svg#only-dark" in shown
    assert "../pictures/dashboards/treasury-light.svg" in pictures.placed(marker, "runbooks/index.md")
    (folder / pictures.STAMP).write_text("another checkout")
    assert note in pictures.placed(marker, "monitoring.md")
    assert inputs.of_engine() != "another checkout"
    assert facts.ROOT / "build" not in folder.parents
