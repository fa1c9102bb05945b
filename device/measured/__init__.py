"""Measured files: what instruments write, read into volts, amperes and seconds."""
