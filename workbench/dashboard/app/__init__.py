"""The application around the pages: header, navigation, theme, notices."""
