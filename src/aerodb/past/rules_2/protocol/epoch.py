"""The epoch of a configuration: it rises only where members, node keys or k change, and elections look at it alone.

Whatever names no epoch was made before epochs were named, and is of the first one.
"""

EPOCH_FIRST = 1
"""The epoch of a founding document."""
