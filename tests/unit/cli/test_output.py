"""Claim: the bar moves on a terminal only, and a table never breaks the name that one copies."""

import sys

import pytest

from dataflow.cli.commands.output import print_table, progress_bar


def test_no_bar_where_standard_error_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("Running", shown=True) as running:
        assert running is None
    assert capsys.readouterr() == ("", "")


def test_bar_on_a_terminal_is_on_standard_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with progress_bar("Running", shown=True) as running:
        assert running is not None
        running(3, 10)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Running" in captured.err


def test_no_bar_on_a_terminal_when_it_is_not_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with progress_bar("Running", shown=False) as running:
        assert running is None


def test_first_column_is_never_broken(capsys: pytest.CaptureFixture[str]) -> None:
    name = "a_name_of_a_run_" * 4
    print_table("Runs", ("run", "thesis"), [(name, "words " * 60)])
    assert name in capsys.readouterr().out
