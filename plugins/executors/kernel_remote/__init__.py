"""What executors share whose workers are other processes; it is no plugin itself.

`travel`, `hidden`, `turns`, `surroundings` and `costs` serve them all. The others are for engines, which bring workers
of their own: `executor` keeps the books, `engine` says what is left for an engine to do, `booth` is its workers' side.
"""
