"""The exit codes of the command line."""

EXIT_FAILED_TRIALS = 6


EXIT_BUDGET = 7


EXIT_INTERRUPTED = 130


EXIT_CODES = (
    "exit codes: 0 done; 2 study, option or device; 3 results folder; 4 cluster; 5 analysis; "
    "6 done, but trials or checks failed; 7 the budget ended before --until was reached; 130 interrupted"
)
