"""Processes killed at every step and at random moments, and what must be true after each kill.

A *driver* is a run in a process of its own (`drivers`). All that it does to the store, and all that
it asks the model, goes line by line into a *diary* that outlives it (`diary`). A *strike* ends or
stops a process at a step of its own choosing; a *blow* comes from outside at a random moment. A
*storm* is many of either, each followed by a rerun (`storm`) and by a *verdict* against an unbroken
run (`verdict`). What came of them all is printed at the end (`tally`). Readers of the splits write
a *history* meanwhile (`readers`), which is checked as a whole (`history`).
"""
