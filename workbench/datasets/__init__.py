"""Datasets as `xarray.Dataset` records of one schema: generators, downloads, readers and windows.

A record has `data`, and `truth` if known, over (time, variable); `schema.check` validates it.
"""
