"""The rules by version: those of earlier releases, kept as they were, and how any version is asked.

A package `rules_N` beside this file is a copy of everything that the rules N judged and explained by, made when they
were released (`python -m release.freezing`), and never changed. It shares no type with the living code: one speaks to
it in texts.
"""
