"""The dashboard: jobs that belong to the server, sessions without widgets, pages without arithmetic."""
