"""Models of single ordinary differential equations."""
