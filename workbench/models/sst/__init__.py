"""Models of sea-surface temperature: seasonal linear ODEs, their forecasts, and the baselines."""
