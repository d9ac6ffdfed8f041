"""What the model is told: its instructions, its tools, and the operations that a question needs.

Start with prompt.py; search.py ranks the operations.
"""
