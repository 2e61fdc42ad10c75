"""Names and options of the user appear unchanged in pictures and reports: not as formulas, markup or hidden labels."""

from __future__ import annotations

import base64
import html.parser
import io
import re
import struct

import pytest

pytest.importorskip("matplotlib")

from fastreg import plots
from searched import searched

NASTY = [
    "cost in $ and $ more", r"$\frac{1}$", "$", "$$", "$x$", "a$b", r"\$5", r"\alpha", r"$\undefined$", "$a_{b$",
    "_hidden", "__", "a_b", "%d %s {x} {0}", "a\nb", "a\r\n\tb", "<script>alert(1)</script>", "a|b", "&amp;",
    "#1", "^2", "~", "{", "}",
    "\\", "'\"`", "w" * 400, "very long " * 40, "\ud8ff", "a\0b", "\x1b[31m", "ä", " ", "$" * 99, "-", "1", "None",
]
# Those that parameters have; all are options of them.
NAMES = ["$", "$$", "$x$", "a$b", r"\alpha", "$a_{b$", "_hidden", "a_b", "a\nb", "<script>alert(1)</script>", "w" * 400,
         "\ud8ff", "{", "\\", "-"]
KINDS = ["history", "parallel_coordinates", "slices", "learning_curves", "gaps"]


def texts(figure):
    """All texts that are shown of a figure that has been drawn."""
    from matplotlib.text import Text

    return [text.get_text() for text in figure.findobj(Text) if text.get_visible() and text.get_text()]


def literal(text):
    """What matplotlib draws for a text, which must hold no formula: it takes an escaped dollar sign for a plain one."""
    from matplotlib.cbook import is_math_text

    assert not is_math_text(text), text
    return text.replace(r"\$", "$")


def drawn(figure):
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    assert buffer.getvalue().startswith(b"\x89PNG")
    return [literal(text) for text in texts(figure)]


@pytest.fixture(scope="module")
def nasty():
    return searched(["rate$", *NAMES], NASTY, metric=r"$\metric_{$", n_trials=6)


@pytest.mark.parametrize("kind", KINDS)
def test_every_picture_of_a_search_is_drawn(nasty, kind):
    shown = drawn(nasty.plot(kind))
    assert any(r"$\metric {$" in text or "epoch" in text for text in shown)
    if kind in ("parallel_coordinates", "slices"):
        assert {"rate$", "$", "$$", "$x$", "a$b", r"\alpha", "_hidden", "a_b", "a\\nb", "{", "\\", "-"} <= set(shown)
        assert not any("\n" in text or len(text) > 48 for text in shown)


def test_the_picture_of_importance_is_drawn(nasty):
    pytest.importorskip("optuna")
    assert "a$b" in drawn(nasty.plot("importance"))


@pytest.mark.parametrize("name", [name for name in NASTY if name.strip()])
def test_every_name_can_be_that_of_a_metric_or_a_run(name):
    histories = {name: {"loss": [2.0, 1.0], name: [0.5, 0.25]}, "other": {"loss": [3.0, 2.0], name: [0.5, 0.25]}}
    figure = plots.learning_curves(histories, title=name)
    shown = drawn(figure)
    if name.isprintable() and len(name) <= 48:
        assert name.replace("_", " ") in shown
        assert shown.count(name) >= 2  # the run's and the whole picture's heading
    assert figure.get_suptitle() != ""
    assert {"training", "loss", "epoch", "other"} <= set(shown)


@pytest.mark.parametrize("name", NASTY)
def test_a_short_text_on_one_line_is_shown_as_it_is(name):
    from fastreg.internal.pictures import plain

    shown = literal(plain(name))
    assert len(shown) <= 48
    if name.isprintable() and len(name) <= 48:
        assert shown == name
    else:
        assert shown.isprintable()


def test_long_texts_end_with_an_ellipsis():
    from fastreg.internal.pictures import plain

    assert plain("w" * 49) == "w" * 47 + "…"
    assert plain("w" * 48) == "w" * 48
    assert plain("\n" * 48) == "\\n" * 23 + "\\" + "…"
    assert plain("$" * 60, 5) == r"\$" * 4 + "…"


class Page(html.parser.HTMLParser):
    """The tags of a page, its texts and its pictures."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts, self.pictures = set(), [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.pictures += [value for name, value in attributes if name == "src"]
        known = {"name", "content"} if tag == "meta" else set()
        assert {name for name, _ in attributes} <= {"lang", "charset", "class", "alt", "src"} | known, attributes

    def handle_data(self, data):
        self.texts.append(data)


def test_the_report_shows_every_name_as_text(nasty, tmp_path):
    path = tmp_path / "r.html"
    nasty.report(path, title="<script>$x$ \ud8ff</script>", notes={"<b>$": "</dd><script>", "_n|": "&lt;"})
    page = Page(path.read_text(encoding="utf-8"))
    assert page.tags <= {"html", "head", "meta", "title", "style", "body", "h1", "h2", "dl", "dt", "dd", "figure",
                         "img", "figcaption", "div", "table", "thead", "tbody", "tr", "th", "td", "p"}
    options = {value for trial in nasty.trials_ for value in trial.params.values() if isinstance(value, str)}
    assert len(options) > 20
    for name in options | set(NAMES):
        shown = name.encode("utf-8", "backslashreplace").decode().replace("\r\n", "\n").replace("\0", "\ufffd")
        assert any(text.replace("\r\n", "\n").replace("\0", "\ufffd") == shown for text in page.texts), name
    assert {r"<script>$x$ \ud8ff</script>", "<b>$", "</dd><script>", "_n|", "&lt;"} <= set(page.texts)
    assert len(page.pictures) >= len(KINDS)
    for picture in page.pictures:
        data = base64.b64decode(re.sub("^data:image/png;base64,", "", picture))
        width, height = struct.unpack(">II", data[16:24])
        assert width > 200
        assert height > 100
