"""What a person sees while a run works."""

import io

from rich.console import Console

from xai_audit.engines.terminal import TerminalProgress


def test_each_stage_leaves_one_line_with_its_outcome() -> None:
    text = io.StringIO()
    with TerminalProgress(Console(file=text, width=100)) as progress:
        progress.plan(10)
        for stage, outcome in (("predictions", "measured"), ("occlusion", "failed")):
            progress.begin(stage, 5)
            progress.advance(5)
            progress.end(outcome)
    lines = [line.split() for line in text.getvalue().splitlines() if line.strip()]
    assert [line[:2] for line in lines] == [["measured", "predictions"], ["failed", "occlusion"]]


def test_the_time_left_is_that_of_the_whole_run() -> None:
    text = io.StringIO()
    with TerminalProgress(Console(file=text, force_terminal=True, width=120)) as progress:
        progress.plan(1000)
        progress.begin("predictions", 500)
        progress.advance(250)
        assert progress._left().endswith("left")
        progress.advance(800)
        assert progress._left() == ""
        progress.end("measured")
