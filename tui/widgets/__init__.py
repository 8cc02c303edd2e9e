"""Parts that the panels are made of."""
