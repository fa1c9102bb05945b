"""Studies as jobs of a Ray cluster: submitting, watching, fetching."""
