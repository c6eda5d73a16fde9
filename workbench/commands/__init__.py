"""The commands of the shell. Only here and in `workbench.cli`, where they begin, the project prints."""
