"""Section 7: where the time of three steps goes, for reading at home."""

import gzip
import shutil

from gpu_sections.call import Call, Report
from gpu_sections.places import place
from gpu_sections.stacks import Training, sizes

STEPS = 3


def run(call: Call, report: Report) -> None:
    """The 25 largest kernels and host functions to profile.txt, and a packed trace."""
    where, size = place(call), sizes(call)
    count = size.stacks[-2]
    training = Training(size, "noise-free", count, where.device)
    with training.one_by_one():
        training.take(size.warm_up)
        profiler = where.profile(lambda: training.take(STEPS)).profiler
    averages = profiler.key_averages()
    sorts = ("self_cpu_time_total",) if call.rehearse else ("self_device_time_total", "self_cpu_time_total")
    text = "\n".join(f"by {key}\n{averages.table(sort_by=key, row_limit=25)}" for key in sorts)
    (call.out / "profile.txt").write_text(f"K = {count}, {STEPS} steps\n{text}", encoding="utf-8")
    trace = call.out / "trace.json"
    profiler.export_chrome_trace(str(trace))
    with trace.open("rb") as plain, gzip.open(f"{trace}.gz", "wb") as packed:
        shutil.copyfileobj(plain, packed)
    trace.unlink()
    largest = sorted(averages, key=lambda row: -getattr(row, sorts[0]))[:5]
    report.figures["largest_us"] = {row.key: getattr(row, sorts[0]) / STEPS for row in largest}
    report.lines += [
        f"K = {count}; us per step: "
        + ", ".join(f"{n[:40]} {us:.0f}" for n, us in report.figures["largest_us"].items()),
        "profile.txt, trace.json.gz",
    ]
