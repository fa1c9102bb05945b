"""Rates and readings of a device over ln N and over the parameters that vary."""
