"""Who is woken when: one queue for each kind of work. Made before everything else and handed to all who record something.

Nothing here does the work: that is turns.py. So nobody has to know who goes on after them, and nothing is bound later.
"""

from __future__ import annotations

from workers.work_queue import WorkQueue


class Waking:
    """The queues of one bot. Record first, on disk; then wake."""

    def __init__(self) -> None:
        self.arrivals = WorkQueue("arrivals")  # threads for which Slack brought something
        self.turns = WorkQueue("turns")  # threads with a turn to go on with
        self.writes = WorkQueue("writes", label="turn")  # turns with writes that people approved
        self.checks = WorkQueue(
            "checks", label="proposal"
        )  # writes with an unknown outcome whose target is to be shown
        self.homes = WorkQueue("homes", label="user")  # people whose App Home is to be drawn
        self.posts = WorkQueue("posts")  # threads in which there is something to show
        self.deadlines = WorkQueue("clock", label="queue")  # one key alone: whatever is due next
        self.undelivered: set[str] = set()  # threads with posts in the store; who shows the rest need not look there

    @property
    def queues(self) -> tuple[WorkQueue, ...]:
        """All of them."""
        return tuple(one for one in vars(self).values() if isinstance(one, WorkQueue))

    def deadlines_changed(self) -> None:
        """There may be something that is due sooner than all else."""
        self.deadlines.wake("clock")

    def posts_recorded(self, thread: str) -> None:
        """Posts for a thread are on disk."""
        self.undelivered.add(thread)
        self.posts.wake(thread)
