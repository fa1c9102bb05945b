"""Tables for the terminal."""

from vcm_sweep.analysis import Sensitivity


def index_table(result: Sensitivity) -> str:
    """Factors by total index, with intervals."""
    width = max(len("factor"), *(len(name) for name in result.factors))
    first = {index.factor: index for index in result.first}
    lines = [f"{'factor':<{width}}  {'total':>6}  {'95 % interval':<16}  {'first':>6}  95 % interval"]
    for index in sorted(result.total, key=lambda index: -index.value):
        own = first[index.factor]
        lines.append(
            f"{index.factor:<{width}}  {index.value:6.2f}  [{index.low:5.2f}, {index.high:5.2f}]   "
            f" {own.value:6.2f}  [{own.low:5.2f}, {own.high:5.2f}]"
        )
    return "\n".join(lines)
