"""Who is advanced when: queues that are woken by what was recorded, and the threads that work them off; nobody polls.

What the work is, the other rooms know. Start with waking.py (who is woken), then workers.py (who does what then). These modules know of
no other room, so that all may import them: waking.py, wakes.py, work_queue.py, leases.py, cancel_flag.py and waits.py.
"""
