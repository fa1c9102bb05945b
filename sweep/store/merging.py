"""Merges several results folders of one study into one."""

from collections.abc import Sequence
from pathlib import Path

from vcm_sweep.sweep.errors import StoreError
from vcm_sweep.sweep.folder import Folder
from vcm_sweep.sweep.store.difference import difference
from vcm_sweep.sweep.store.store import Store, holds_study


def merge(sources: Sequence[str | Path | Folder], into: str | Path | Folder) -> dict[str, int]:
    """How many records were taken over from each of these results folders into another.

    ``into`` is made if it holds nothing: of the longest of the studies, where some were extended. The sources stay
    as they are. Of equal keys one record is kept, one that is ok if there is any; done again, nothing changes.

    Raises:
        StoreError: the folders hold different studies (the difference is named), or one cannot be used.
    """
    places = [_place(source) for source in sources]
    for source, place in zip(sources, places, strict=True):
        if place == _place(into) or places.count(place) > 1:
            raise StoreError(f"{source} cannot be merged with itself: name each folder once, and another --into")
    stores = [Store.open(source) for source in sources]
    if holds_study(into):
        target = Store.open(into)
    else:
        # The longest study was extended from the others, so it has their digests.
        longest = max(stores, key=lambda store: sum(other.study.digest in store.digests for other in stores))
        _check(longest, stores)
        target = Store.create(longest.study, into, longest.digests)
    _check(target, stores)
    with target:
        return {str(store.folder): target.take_over(store) for store in stores}


def _place(where: str | Path | Folder) -> str:
    folder = Folder(where)
    return str(folder.local.resolve()) if folder.local is not None else folder.path


def _check(target: Store, stores: Sequence[Store]) -> None:
    for store in stores:
        if store.study.digest not in target.digests:
            raise StoreError(
                f"{store.folder} holds another study than {target.folder} ({difference(target.study, store.study)}): "
                "merge folders of one study; `vcm-sweep run --reuse DIR` takes over equal work of others"
            )
