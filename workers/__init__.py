"""Who is advanced when: workers by key, woken by what was recorded; nobody polls. Start with turns.py."""
