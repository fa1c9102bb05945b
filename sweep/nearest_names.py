"""The known names that one which is not known may have been meant as."""

import difflib
from collections.abc import Iterable

# What other tools call a field.
_MEANT = {"learning_rate": "lr", "batch_size": "batch"}


def nearest_names(name: str, known: Iterable[str], most: int = 1, cutoff: float = 0.6) -> list[str]:
    """The known names that a wrong one is near to, the nearest first; none if no name is near.

    Names with dots are compared part by part first: those that share the most parts, and of these the most alike.

    Args:
        most: how many are wanted. cutoff: how much alike whole names must be that share no part, from 0 to 1.

    >>> nearest_names("lr", ["network.init", "network.lr", "T_0.global.mean"])
    ['network.lr']
    >>> nearest_names("training.learning_rate", ["network.init", "network.lr"])
    ['network.lr']
    >>> nearest_names("T_0", ["T_0.global.mean", "T_0.d2d.sigma", "r.d2d.sigma"], most=3)
    ['T_0.d2d.sigma', 'T_0.global.mean']
    >>> nearest_names("epoch", ["epochs", "batch"]), nearest_names("xyz", ["epochs", "batch"])
    (['epochs'], [])
    >>> nearest_names("dWA", ["dW_A", "T_0"])
    ['dW_A']
    """
    names, wanted = [str(one) for one in known], _parts(name)
    shared = {one: len(wanted & _parts(one)) for one in names}
    best = max(shared.values(), default=0)
    if not best:
        of_lower = {one.lower(): one for one in names}
        (meant,) = wanted if len(wanted) == 1 else (name.lower(),)
        return [of_lower[one] for one in difflib.get_close_matches(meant, of_lower, most, cutoff)]

    def likeness(one: str) -> tuple[bool, float]:
        same_end = _last(one) == _last(name)
        return same_end, difflib.SequenceMatcher(None, name, one).ratio()

    return sorted((one for one in names if shared[one] == best), key=likeness, reverse=True)[:most]


def did_you_mean(name: str, known: Iterable[str], otherwise: str = "", most: int = 1, cutoff: float = 0.6) -> str:
    """The hint of a message about a wrong name: the known ones near to it, or ``otherwise`` where none is near.

    >>> did_you_mean("epoch", ["epochs", "batch"]), did_you_mean("xyz", ["epochs", "batch"], "known: epochs, batch")
    ("did you mean 'epochs'?", 'known: epochs, batch')
    """
    near = nearest_names(name, known, most, cutoff)
    return f"did you mean {' or '.join(map(repr, near))}?" if near else otherwise


def _parts(name: str) -> set[str]:
    return {_MEANT.get(part, part) for part in name.lower().split(".")}


def _last(name: str) -> str:
    last = name.lower().rpartition(".")[2]
    return _MEANT.get(last, last)
