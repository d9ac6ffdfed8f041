"""A port of loopback, for servers below HTTP: each connection is handled in a thread of its own."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable


class Acceptor:
    """Listens from the start, and takes connections from `start` on, until `stop`."""

    def __init__(self, handle: Callable[[socket.socket], None], port: int = 0) -> None:
        self._handle = handle
        self._door = socket.create_server(("127.0.0.1", port), backlog=128)
        self.port: int = self._door.getsockname()[1]
        self._is_over = False
        self._accepting = threading.Thread(target=self._accept, daemon=True)

    def start(self) -> None:
        self._accepting.start()

    def stop(self) -> None:
        """Closes the port once nobody waits there any more: by its number, the next server's socket would be taken for this one."""
        self._is_over = True
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port)).close()  # wakes who waits
        self._accepting.join()
        self._door.close()

    def _accept(self) -> None:
        while True:
            connection, _ = self._door.accept()
            if self._is_over:
                connection.close()
                return
            threading.Thread(target=self._handle, args=(connection,), daemon=True).start()
