"""Sea-surface temperature: loaders of published files and a synthetic field of the same schema."""

from workbench._deprecated import moved_names

_NAMES = ("ERSST", "OISST", "Product", "elnino", "open_ersst", "open_mask", "open_oisst", "read_nino")

__getattr__ = moved_names(__name__, {name: f"datasets.sst.loaders:{name}" for name in _NAMES})
