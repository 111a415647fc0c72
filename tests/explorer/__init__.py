"""An exhaustive explorer of the rules for write authority, on small clusters.

Every interleaving, within stated bounds, of operators' requests, client writes, WAL streaming, crashes, cut operations
and reports that have gone stale is tried, each request judged and run by the real actions; see `world` for the model.
"""
