"""Records as `xarray.Dataset`: one schema, one folder, one file per dataset.

A record holds `truth` and `data` over (time, variable); `schema.check` says in words what else it must be.
"""
