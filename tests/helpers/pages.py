"""A page in HTML as tests see it."""

from __future__ import annotations

import html.parser


class Page(html.parser.HTMLParser):
    """Counts tags, collects text, and notes whatever a page would fetch."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: dict[str, int] = {}
        self.texts: list[str] = []
        self.fetched: list[str | None] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags[tag] = self.tags.get(tag, 0) + 1
        self.fetched += [v for k, v in attributes if k in ("src", "href") and not (v or "").startswith("data:")]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
