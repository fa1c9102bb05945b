"""The state of a run in words: the lines of the live view, of ``status`` and of a log."""

import math
from typing import Any

from vcm_sweep.sweep.foreign import printable
from vcm_sweep.sweep.session.tally import Figures

_BAR = 30
_MOST_NODES, _MOST_CAUSES = 8, 5


def view_lines(name: str, figures: Figures, event: str = "") -> list[str]:
    """The few lines that say how a run is going; ``event``: the last event that is worth showing.

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
    if figures.doing:
        lines.append(f"now: {figures.doing}")
    if event:
        lines.append(f"last: {event}")
    return [printable(line) for line in lines]


def log_line(name: str, figures: Figures) -> str:
    """The state of a run as one line, for a file.

    >>> log_line("demo", Figures(done=3, total=8, rate_per_h=90.0, eta_s=200.0, best=0.9, worst=0.1))
    'demo: 3/8 trials, 0 failed, 0 packs running, 90 trials/h, time left 3 min 20 s, accuracy 0.10 to 0.90'
    """
    causes = f" ({_causes(figures)})" if figures.failures else ""
    pace = _pace(figures).replace(" failed", f" failed{causes}", 1)
    now = f", now: {figures.doing}" if figures.doing else ""
    return printable(f"{name}: {figures.done:,}/{figures.total:,} trials, {pace}, accuracy {_accuracy(figures)}{now}")


def event_words(line: dict[str, Any]) -> str:
    """A line of a run's log for people, without empty fields, and without the key, which is long.

    >>> event_words({"time": "12:00:00Z", "level": "info", "event": "trial", "status": "ok", "accuracy": 0.912345})
    '12:00:00Z info    trial status=ok accuracy=0.9123'
    """
    rest = {k: v for k, v in line.items() if k not in ("time", "level", "event", "key") and v not in ("", None)}
    words = (f"{k}={v:.4g}" if isinstance(v, float) else f"{k}={v}" for k, v in rest.items())
    told = f"{line.get('time', '')} {line.get('level', '')!s:7} {line.get('event', '')} {' '.join(words)}"
    return printable(told.rstrip())


def duration(seconds: float | None) -> str:
    """A duration in words, rounded to about two digits.

    >>> duration(None), duration(0.0123), duration(42), duration(200), duration(3700), duration(200_000)
    ('-', '0.012 s', '42 s', '3 min 20 s', '1 h 1 min', '2 d 7 h')
    """
    if seconds is None or not math.isfinite(seconds):
        return "-"
    if seconds < 59.5:
        return f"{seconds:.2g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 10:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def _pace(figures: Figures) -> str:
    rate = "-" if figures.rate_per_h is None else f"{figures.rate_per_h:,.0f}"
    return (
        f"{figures.failed:,} failed, {_counted(figures.running, 'pack')} running, {rate} trials/h, "
        f"time left {duration(figures.eta_s)}"
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
