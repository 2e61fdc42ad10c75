"""What to do next, by plain rules over the scores of a search: few rows, rare classes, over-fitting, the time."""

from __future__ import annotations

import math
from collections.abc import Iterator

from fastreg.diagnosis.verdicts import diagnose
from fastreg.tune.outcome import TuneResult

__all__ = ["advise"]

_FEW_ROWS, _FEW_OF_CLASS, _FEW_TRIALS = 500, 20, 8
_RARE, _MAX_GAP, _PERFECT, _ALONE = 0.1, 0.05, 0.999, 0.9
_LISTED = 5


def advise(result: TuneResult) -> tuple[str, ...]:
    """Sentences, the most important first; those about columns need their importance."""
    rules = (_search, _order, _baselines, _fit, _rows, _classes, _columns)
    return tuple(sentence for rule in rules for sentence in rule(result))


def _headline(result: TuneResult, place: int = 0) -> float:
    return result.contenders[place].scores.headline[1]


def _search(result: TuneResult) -> Iterator[str]:
    if not result.is_network:
        why = {"interrupt": "It was interrupted", "time": "The time ended"}.get(result.stopped_by, "The search ended")
        yield f"{why} before a network was found; the model is the linear one. Give the search more time with --time."
    elif result.search is not None and result.stopped_by == "time" and result.search.n_trials_ < _FEW_TRIALS:
        count = result.search.n_trials_
        yield f"The time ended the search after {count} networks. More time (--time) may find a better blend."
    elif result.stopped_by == "interrupt":
        yield "The search was interrupted; more time may find a better blend."


def _order(result: TuneResult) -> Iterator[str]:
    if result.search is not None and result.search.alike_:
        yield (
            "Neighbouring rows are alike beyond what the columns tell (the errors of a linear model correlate by "
            f"{result.search.alike_:.2g}), so rows between them are easier to predict than others. If new rows come "
            "later, name --time-column, and if they are of other groups, --group: networks are then chosen for that."
        )


def _baselines(result: TuneResult) -> Iterator[str]:
    name, best = result.scores.headline
    simple = {contender.name: contender.scores.headline[1] for contender in result.contenders[1:]}
    constant = simple.pop(result.contenders[-1].name)
    noise = 2.0 * _error(result)
    if best <= constant + noise:
        yield (
            f"The {name} is hardly better than that of {result.contenders[-1].name}: the columns say little about the "
            "target, or there are too few rows to tell."
        )
    for other, value in simple.items():
        if value >= best - noise and value > constant + noise:
            yield f"A {other} does about as well ({name} {value:.4g}): it is simpler, and easier to explain."
    if best >= _PERFECT and constant < 0.95:
        yield (
            f"So good a score ({name} {best:.4g}) is rare: look for a column that is known only together with the "
            "target, or that gives the order of the rows, and leave it out with --ignore."
        )


def _error(result: TuneResult) -> float:
    """The standard error of the headline on the rows that were held back; for numbers a small difference."""
    _, best = result.scores.headline
    if result.scores.classes:
        return math.sqrt(max(best * (1.0 - best), 0.0) / result.scores.rows)
    return 0.005


def _fit(result: TuneResult) -> Iterator[str]:
    train, test = result.train_scores.headline[1], _headline(result)
    if not (math.isfinite(train) and math.isfinite(test)):
        return
    verdict = diagnose(train, test, target=-math.inf, max_gap=_MAX_GAP + 2.0 * _error(result)).verdict
    if verdict == "over-fitting":
        yield (
            f"The {result.scores.headline[0]} is {train:.4g} on rows that the model learned from and {test:.4g} on "
            "others: more rows, or fewer columns, would help most."
        )


def _rows(result: TuneResult) -> Iterator[str]:
    if result.rows.train < _FEW_ROWS:
        yield f"There are only {result.rows.train} rows to learn from. More rows are the surest way to better scores."
    if result.scores.classes and (spread := 1.96 * _error(result)) > 0.02:
        yield (
            f"{result.scores.rows} rows held back fix the accuracy to about ±{spread:.2g} only; smaller differences "
            "say nothing."
        )
    if result.scores.unseen:
        yield (
            f"{result.scores.unseen} of the rows held back have a class that no row to learn from has; they count as "
            "wrong."
        )


def _classes(result: TuneResult) -> Iterator[str]:
    classes = [entry for entry in result.scores.classes if entry.rows]
    total = sum(entry.rows for entry in classes)
    rare = [entry for entry in classes if entry.rows < min(_RARE, 0.5 / max(len(classes), 1)) * total]
    if rare:
        named = ", ".join(f"{entry.label!r} ({entry.rows} rows, F1 {entry.f1:.2g})" for entry in rare[:_LISTED])
        more = f" and {len(rare) - _LISTED} more" if len(rare) > _LISTED else ""
        yield f"Rare classes: {named}{more}. The accuracy says little about them; look at their F1."
    few = [entry.label for entry in classes if entry.rows < _FEW_OF_CLASS and entry in rare]
    if few:
        yield "Rows of rare classes are worth most if you can collect more."


def _columns(result: TuneResult) -> Iterator[str]:
    found = result.importance
    constant = _headline(result, -1)
    if found is None or len(found.names) < 2 or _headline(result) <= constant + 2.0 * _error(result):
        return
    means, spreads = found.importances_mean, found.importances_std
    total = float(means[means > 0].sum())
    top = int(means.argmax())
    if total > 0 and means[top] > _ALONE * total:
        yield (
            f"Column {found.names[top]!r} decides nearly everything. Make sure that it is known when predictions are "
            "made, and does not follow from the target."
        )
    useless = [name for name, mean, spread in zip(found.names, means, spreads, strict=True) if mean <= spread]
    if total > 0 and useless:
        named = ", ".join(map(repr, useless[:_LISTED]))
        more = f" and {len(useless) - _LISTED} more" if len(useless) > _LISTED else ""
        yield f"The model hardly uses {named}{more}; leaving columns out (--ignore) makes it simpler."
