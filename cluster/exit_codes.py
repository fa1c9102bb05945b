"""The exit codes of the command line."""

EXIT_USAGE = 2
"""A command line, study or device that cannot be used."""

EXIT_FOLDER = 3
"""Something cannot be written: a results folder, or what is printed."""

EXIT_FAILED_TRIALS = 6
"""Done, but trials failed, or checks of doctor, or a fit cannot be believed."""

EXIT_BUDGET = 7
"""The budget of ``run --until`` ended before its goal was reached."""

EXIT_INTERRUPTED = 130
"""Interrupted by the user, as a shell reports Ctrl-C."""

EXIT_CODES = (
    "exit codes: 0 done; 2 study, option or device; 3 results folder; 4 cluster; 5 analysis; "
    "6 done, but trials or checks failed, or a fit is not believable; 7 the budget ended before --until was reached; "
    "130 interrupted"
)
"""All exit codes, as the help of the command line lists them."""
