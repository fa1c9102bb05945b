"""A run in words: the lines of the live view, of ``status`` and of a log."""

from vcm_sweep.sweep.tally import Figures

_BAR = 30
_MOST_NODES, _MOST_CAUSES = 8, 5


def view_lines(name: str, figures: Figures, event: str = "") -> list[str]:
    """The few lines that say how a run is going; ``event``: what happened last, if it matters.

    >>> print(*view_lines("demo", Figures(done=3, total=8, failed=1, running=2)), sep="\\n")
    demo  3/8 trials  ###########-------------------  38 %
    1 failed, 2 packs running, - trials/h, time left -
    accuracy -
    """
    share = figures.done / figures.total if figures.total else 0.0
    filled = int(_BAR * share)
    bar = "#" * filled + "-" * (_BAR - filled)
    lines = [
        f"{name}  {figures.done:,}/{figures.total:,} trials  {bar}  {100 * share:.0f} %",
        _pace(figures),
        f"accuracy {_accuracy(figures)}",
    ]
    if figures.failures:
        lines.append(f"failed: {_causes(figures)}")
    if figures.nodes:
        lines.append(f"nodes: {_nodes(figures)}")
    if event:
        lines.append(f"last: {event}")
    return lines


def log_line(name: str, figures: Figures) -> str:
    """The same as one line, for a file.

    >>> log_line("demo", Figures(done=3, total=8, rate_per_h=90.0, eta_s=200.0, best=0.9, worst=0.1))
    'demo: 3/8 trials, 0 failed, 0 packs running, 90 trials/h, time left 3 min, accuracy 0.10 to 0.90'
    """
    causes = f" ({_causes(figures)})" if figures.failures else ""
    pace = _pace(figures).replace(" failed", f" failed{causes}", 1)
    return f"{name}: {figures.done:,}/{figures.total:,} trials, {pace}, accuracy {_accuracy(figures)}"


def in_words(seconds: float | None) -> str:
    """A duration, to two digits or so.

    >>> in_words(None), in_words(42), in_words(200), in_words(3700), in_words(200_000)
    ('-', '42 s', '3 min', '1 h 1 min', '2 d 7 h')
    """
    if seconds is None or seconds != seconds or seconds == float("inf"):
        return "-"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = int(seconds // 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 24 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes // 1440} d {minutes % 1440 // 60} h"


def _pace(figures: Figures) -> str:
    rate = "-" if figures.rate_per_h is None else f"{figures.rate_per_h:,.0f}"
    return (
        f"{figures.failed:,} failed, {_counted(figures.running, 'pack')} running, {rate} trials/h, "
        f"time left {in_words(figures.eta_s)}"
    )


def _accuracy(figures: Figures) -> str:
    return "-" if figures.best is None or figures.worst is None else f"{figures.worst:.2f} to {figures.best:.2f}"


def _causes(figures: Figures) -> str:
    worst = list(figures.failures.items())
    more = sum(count for _, count in worst[_MOST_CAUSES:])
    return ", ".join(
        [f"{count} {cause}" for cause, count in worst[:_MOST_CAUSES]] + ([f"{more} others"] if more else [])
    )


def _nodes(figures: Figures) -> str:
    busiest = sorted(figures.nodes.items(), key=lambda item: (-item[1]["packs"], -item[1]["trials"], item[0]))
    words = [
        f"{name} {_counted(use['packs'], 'pack')}, {_counted(use['trials'], 'trial')}"
        for name, use in busiest[:_MOST_NODES]
    ]
    more = len(busiest) - _MOST_NODES
    return "; ".join(words + ([f"{more} more"] if more > 0 else []))


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}" + ("" if count == 1 else "s")
