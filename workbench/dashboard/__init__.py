"""The dashboard: one folder per page, with its state (no widgets), its text and its widgets."""
