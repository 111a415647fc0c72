"""The rules by version: frozen copies of those of earlier releases, and how to call any version.

A package `rules_N` beside this file is a copy of all code by which the rules N judged and explained, made when they
were released (`python -m release.freezing`) and never changed. It shares no type with the living code: it is called
with texts, and returns texts.
"""
