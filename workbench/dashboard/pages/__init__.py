"""One module per page: widgets and panes, nothing computed."""
