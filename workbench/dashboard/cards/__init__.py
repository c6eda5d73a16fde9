"""Cards: titled panels that each show one part of a Report or of the records of a run."""
