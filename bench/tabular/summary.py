"""What the cells of bench/tables.py say: wins, shortfalls, and a table in Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Cell = Mapping[str, Any]
OURS = "fastreg"


@dataclass(frozen=True)
class Duel:
    """A competitor against another on the tables and seeds that both have. Shortfalls are those of the first: points of
    accuracy, and percent of the other's RMSE; negative where it is ahead on all tables.
    """

    name: str
    other: str
    wins: int
    ties: int
    losses: int
    worst: Mapping[str, tuple[float, str]]

    def line(self) -> str:
        units = {"classes": "points of accuracy", "numbers": "% of RMSE"}
        told = [
            f"{abs(value):.2f} {units[task]} {'behind' if value > 0 else 'ahead'} ({table})"
            for task, (value, table) in self.worst.items()
        ]
        head = f"{self.name} against {self.other}, {self.wins + self.ties + self.losses} tables"
        return f"{head}: {self.wins} won, {self.ties} tied, {self.losses} lost; at worst {', '.join(told)}"


def scored(cells: Sequence[Cell]) -> list[Cell]:
    return [cell for cell in cells if "score" in cell]


def duel(cells: Sequence[Cell], name: str, other: str) -> Duel | None:
    """None if no table and seed has both."""
    scores: dict[tuple[str, str], dict[int, dict[str, float]]] = {}
    for cell in scored(cells):
        if cell["competitor"] in (name, other):
            seeds = scores.setdefault((cell["table"], cell["task"]), {})
            seeds.setdefault(cell["seed"], {})[cell["competitor"]] = cell["score"]
    wins = ties = losses = 0
    worst: dict[str, tuple[float, str]] = {}
    for (table, task), seeds in scores.items():
        pairs = [(found[name], found[other]) for found in seeds.values() if len(found) == 2]
        if not pairs:
            continue
        mine, theirs = (statistics.fmean(values) for values in zip(*pairs, strict=True))
        short = 100.0 * (theirs - mine) if task == "classes" else _percent(mine, theirs)
        tie = abs(short) < 1e-9
        wins, ties, losses = wins + (short < 0 and not tie), ties + tie, losses + (short > 0 and not tie)
        worst[task] = max(worst.get(task, (short, table)), (short, table))
    return Duel(name, other, wins, ties, losses, dict(sorted(worst.items()))) if wins + ties + losses else None


def _percent(mine: float, theirs: float) -> float:
    if theirs == 0.0:
        return 0.0 if mine == 0.0 else float("inf")
    return 100.0 * (mine / theirs - 1.0)


def duels(cells: Sequence[Cell], names: Sequence[str]) -> list[str]:
    """A line for each variant of fastreg against everyone else."""
    ours = [name for name in names if name.startswith(OURS)]
    found = [duel(cells, name, other) for name in ours for other in names if other not in ours]
    return [one.line() for one in found if one is not None]


def _spread(values: Sequence[float], text: Callable[[float], str]) -> str:
    mean = text(statistics.fmean(values))
    return f"{mean} ± {text(statistics.stdev(values))}" if len(values) > 1 else mean


def _four(value: float) -> str:
    """Four significant digits, and no exponent."""
    return f"{value:.4f}" if abs(value) < 1 else f"{value:.4g}" if abs(value) < 1e4 else f"{value:.0f}"


def _fixed(digits: int) -> Callable[[float], str]:
    return lambda value: f"{value:.{digits}f}"


_COLUMNS: tuple[tuple[str, str, Callable[[float], str]], ...] = (
    ("log-loss", "log_loss", _fixed(4)),
    ("calibration error", "ece", _fixed(4)),
    ("coverage", "coverage", _fixed(3)),
    ("mean width", "width", _four),
)


def _row(table: str, name: str, cells: Sequence[Cell]) -> str:
    rows, columns, task = cells[0]["rows_train"], cells[0]["columns"], cells[0]["task"]
    score = _spread([cell["score"] for cell in cells], _fixed(4) if task == "classes" else _four)
    found = [f"{table} ({rows} × {columns})", name, f"{score} {'accuracy' if task == 'classes' else 'RMSE'}"]
    for _, key, text in _COLUMNS:
        values = [cell[key] for cell in cells if key in cell]
        found.append(_spread(values, text) if values else "")
    found.append(f"{statistics.median(cell['seconds'] for cell in cells):.1f}")
    found.append(f"{statistics.median(cell['row_us'] for cell in cells):.3g}")
    return f"| {' | '.join(found)} |"


def markdown(data: Mapping[str, Any]) -> str:
    """The settings, a row for each table and competitor, who won, what failed, and what the tables are."""
    cells, settings, machine = scored(data["cells"]), data["settings"], data["machine"]
    tables = [name for name in data["tables"] if any(cell["table"] == name for cell in cells)]
    names = [name for name in settings["competitors"] if any(cell["competitor"] == name for cell in cells)]
    seeds = len({cell["seed"] for cell in cells})
    loads = [cell["load"] for cell in cells if cell.get("load") is not None]
    told = f"; load before the cells {min(loads):.1f} to {max(loads):.1f}" if loads else ""
    heads = ["table (training rows × columns)", "who", "score", *(head for head, _, _ in _COLUMNS), "s", "µs a row"]
    lines = [
        f"{settings['time']:g} seconds, {settings['threads']} threads, seeds: {seeds} (means ± standard deviations), "
        f"{machine['cpu']}{told}.",
        "",
        f"| {' | '.join(heads)} |",
        f"|{'---|' * len(heads)}",
    ]
    for table in tables:
        for name in names:
            found = [cell for cell in cells if cell["table"] == table and cell["competitor"] == name]
            if found:
                lines.append(_row(table, name, found))
    failed = [f"failed: {cell['competitor']} on {cell['table']}, seed {cell['seed']}" for cell in data["cells"]
              if "error" in cell]  # fmt: skip
    for notes in (duels(cells, names) + failed, [f"{name}: {data['tables'][name]['origin']}" for name in tables]):
        lines += ["", *(f"- {note}" for note in notes)] if notes else []
    return "\n".join(lines) + "\n"
