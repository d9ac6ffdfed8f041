"""Who is advanced when: queues that are woken by what was recorded, and the threads that work them off; nobody polls.

What the work is, the other rooms know. Start with waking.py (who is woken), then turns.py (who does what then). Three modules know of no
other room, so that all may take them: waking.py, work_queue.py and cancel_flag.py.
"""
