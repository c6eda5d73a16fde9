"""Application shell: header, navigation, theme, notices."""
