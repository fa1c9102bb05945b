"""The nodes of the cluster as the driver sees them: which joined, which left, how many packs they have room for."""

import logging
import socket
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from vcm_sweep.cluster.ray_executor.resources import PackNeeds, check_feasible

_log = logging.getLogger("vcm_sweep")

_ASK_EVERY_S = 1.0
_ANSWER_S = 2.0


class Nodes:
    """The nodes of a cluster, asked for at most once a second.

    Args:
        needs: what a pack needs.
        ask: returns Ray's list of nodes, as ``ray.nodes`` does.
        patience_s: how long the cluster may be without a node that can run a pack before that is an error.
        wait_s: the same at the start of a run. With 0 it is an error at once, unless no node has a core: then it is a
            head alone, whose workers are still to come, and patience_s applies.

    Raises:
        ExecutorError: no node can run a pack.
    """

    def __init__(
        self, needs: PackNeeds, ask: Callable[[], list[dict[str, Any]]], patience_s: float, wait_s: float = 0.0
    ) -> None:
        self._needs, self._ask = needs, ask
        self._patience_s, self._patience_later_s = wait_s or patience_s, patience_s
        self._known: dict[str, dict[str, Any]] = {}
        self._alive: set[str] = set()
        self._asked = self._capable = time.monotonic()
        self._waiting = False
        self.lost: set[str] = set()
        self.slots = 0
        self._take_in(first=True)
        if not wait_s and any(resources.get("CPU") for _, resources in self._resources()):
            check_feasible(needs, self._resources())

    def refresh(self) -> None:
        """Ask for the nodes again, if the last answer is a second old.

        Raises:
            ExecutorError: no node has been able to run a pack for longer than patience_s.
        """
        now = time.monotonic()
        if now - self._asked < _ASK_EVERY_S:
            return
        self._asked = now
        self._take_in()
        if self.slots:
            self._capable, self._waiting = now, False
            self._patience_s = self._patience_later_s
            return
        if not self._waiting:
            self._waiting = True
            _log.warning(
                "no node is left that can run a pack (%s): waiting %g s for one", self._needs, self._patience_s,
                extra={"event": "waiting_for_nodes"},
            )  # fmt: skip
        if now - self._capable > self._patience_s:
            check_feasible(self._needs, self._resources())

    def is_lost(self, node: str) -> bool:
        """Whether a node has left; asks its raylet (Ray's process there), as the cluster notices a death only later."""
        if node in self._alive:
            info = self._known[node]
            try:
                with socket.create_connection((info["NodeManagerAddress"], info["NodeManagerPort"]), _ANSWER_S):
                    return False
            except OSError:
                self.lost.add(node)
        return node in self.lost

    def name(self, node: str) -> str:
        """The host name of a node, with the beginning of its id if several nodes share the host."""
        host = self.host(node)
        hosts = Counter(self.host(alive) for alive in self._alive)
        return f"{host}#{node[:6]}" if hosts[host] > 1 else host

    def host(self, node: str) -> str:
        """Host name of a node."""
        return str(self._known.get(node, {}).get("NodeManagerHostname", "")) or node[:12]

    def _resources(self) -> list[tuple[str, dict[str, float]]]:
        return [(self.name(node), self._known[node]["Resources"]) for node in sorted(self._alive)]

    def _take_in(self, first: bool = False) -> None:
        listed = {info["NodeID"]: info for info in self._ask()}
        alive = {node for node, info in listed.items() if info["Alive"]}
        # Ray's list has no resources for a node that has left, so the last known ones are kept.
        self._known |= {node: listed[node] for node in alive}
        joined, left = alive - self._alive, self._alive - alive
        self._alive = alive
        self.lost |= left
        self.slots = sum(self._needs.slots(self._known[node]["Resources"]) for node in alive)
        for node in () if first else joined:
            self._tell("node_joined", "node %s joined: %d packs side by side now", node)
        for node in left:
            self._tell("node_left", "node %s left: %d packs side by side now", node)

    def _tell(self, event: str, text: str, node: str) -> None:
        _log.info(text, self.name(node), self.slots, extra={"event": event, "node": self.name(node)})
