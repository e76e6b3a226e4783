"""Who waits for a slot, and in which order they get one.

Knows: requests, whose they are. Does not know: slots, caches.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from frspec.engine.request import Request


class Line:
    """Requests that were interrupted come first; then clients take turns, each one's requests in their own order.

    A client that was just served waits until every other one had its turn, so many requests of one don't hold up the
    single one of another.
    """

    def __init__(self) -> None:
        self._interrupted: deque[Request] = deque()
        self._clients: dict[str, deque[Request]] = {}  # in the order of their turns

    def __len__(self) -> int:
        return len(self._interrupted) + sum(map(len, self._clients.values()))

    def __iter__(self) -> Iterator[Request]:
        """All of them, in the order in which they would be served."""
        yield from list(self._interrupted)
        turns = [list(queue) for queue in self._clients.values()]
        for place in range(max(map(len, turns), default=0)):
            yield from [queue[place] for queue in turns if place < len(queue)]

    def __contains__(self, request: Request) -> bool:
        return request in self._interrupted or request in self._clients.get(request.client, ())

    def add(self, request: Request) -> None:
        """Stand at the end of the client's own."""
        self._clients.setdefault(request.client, deque()).append(request)

    def put_back(self, request: Request) -> None:
        """Come next: it had a slot already."""
        self._interrupted.appendleft(request)

    def take(self, request: Request) -> None:
        """Serve it: its client's next turn comes after everybody else's."""
        if request in self._interrupted:
            self._interrupted.remove(request)
            return
        queue = self._clients.pop(request.client)
        queue.remove(request)
        if queue:
            self._clients[request.client] = queue

    def remove(self, request: Request) -> None:
        """Leave without having been served, if it waits at all."""
        if request in self._interrupted:
            self._interrupted.remove(request)
        elif request in self:
            self._clients[request.client].remove(request)
            if not self._clients[request.client]:
                del self._clients[request.client]
