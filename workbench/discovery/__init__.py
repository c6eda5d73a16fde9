"""Discovery of differential equations from records: u' = Theta(u) Xi, ordinary and partial."""
