"""The state of one server's processes, which their parent sets in shared memory."""

from __future__ import annotations

import os
from multiprocessing.sharedctypes import RawValue

_SERVING, _DRAINING, _STOPPING = range(3)


class Lifecycle:
    """Serving, then draining, then stopping. Created by the parent and inherited by its children.

    Reading it costs one byte of shared memory, little enough for every request.
    """

    def __init__(self) -> None:
        self._phase = RawValue("b", _SERVING)
        self._parent = os.getpid()

    @property
    def is_draining(self) -> bool:
        """Requests are still accepted, but load balancers should send them elsewhere."""
        return bool(self._phase.value)

    @property
    def is_stopping(self) -> bool:
        """The parent wants its children to end, or does not exist any more."""
        return bool(self._phase.value == _STOPPING or os.getppid() != self._parent)

    def drain(self) -> None:
        self._phase.value = _DRAINING

    def stop(self) -> None:
        self._phase.value = _STOPPING
