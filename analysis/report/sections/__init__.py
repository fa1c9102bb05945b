"""The sections of a report, one file each: what is found and how it is shown. None of them knows the whole page."""
