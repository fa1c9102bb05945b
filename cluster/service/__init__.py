"""The service: studies in a browser and over HTTP, for people who do not log in to the cluster."""
