"""How work is mapped over addresses: in this process, or by Ray Data over actors.

Both runtimes have one signature and one contract suite. A runtime is given the stage's work as an
argument and knows nothing of what it does. `except Exception` stands here and nowhere else (law 5).
"""
