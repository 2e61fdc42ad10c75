"""How models and histories look in a notebook: small HTML tables without scripts and without styles of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = ["escape", "history_html", "table"]

# A longer history shows its first and last epochs.
_MOST_EPOCHS = 20


def escape(text: str) -> str:
    """Plain text as HTML. Python's module is large, so it is loaded only where something is shown in a notebook."""
    from html import escape as standard

    return standard(text)


def history_html(
    history: Mapping[str, Sequence[float]], epochs: Sequence[int], validated: Sequence[int], stopped_by: str
) -> str:
    """The table of the values of each epoch; ``validated`` are those that the validation values belong to."""
    keys = list(history)
    columns = []
    for key in keys:
        few = len(history[key]) == len(validated) < len(epochs) and key.startswith("val_")
        columns.append(dict(zip(validated if few else epochs, history[key], strict=False)))
    rows = [
        (str(epoch + 1), *(f"{column[epoch]:.4g}" if epoch in column else "" for column in columns)) for epoch in epochs
    ]
    if len(rows) > _MOST_EPOCHS:
        half = _MOST_EPOCHS // 2
        rows = [*rows[:half], ("…", *("" for _ in keys)), *rows[-half:]]
    ended = f", ended by {escape(stopped_by)}" if stopped_by else ""
    caption = f"<b>History</b> of {len(epochs)} epochs{ended}"
    return table(("epoch", *keys), rows, caption, numbers=set(range(len(keys) + 1)))


def table(header: Sequence[str], rows: Sequence[Sequence[str]], caption: str, numbers: set[int]) -> str:
    """A table as HTML.

    Args:
        header: The headings of the columns.
        rows: The cells of each row, as plain text.
        caption: What stands above the table, as HTML.
        numbers: The indices of the columns that are aligned to the right.
    """

    def line(cells: Sequence[str], tag: str) -> str:
        sides = ("right" if column in numbers else "left" for column in range(len(cells)))
        shown = (
            f'<{tag} style="text-align: {side}">{escape(cell)}</{tag}>'
            for cell, side in zip(cells, sides, strict=True)
        )
        return f"<tr>{''.join(shown)}</tr>"

    head, body = line(header, "th"), "\n".join(line(row, "td") for row in rows)
    return f"<table>\n<caption>{caption}</caption>\n<thead>{head}</thead>\n<tbody>\n{body}\n</tbody>\n</table>"
