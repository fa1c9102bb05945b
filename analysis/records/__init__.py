"""Records as an analysis reads them: metrics, and what is done about failures."""
