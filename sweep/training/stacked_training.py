"""``StackedTraining``: the training loop of one stack, with its checkpoints and its records at the end."""

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import torch

from vcm_sweep.sweep.data.sets import DataSet
from vcm_sweep.sweep.training.build_stack import build_stack
from vcm_sweep.sweep.training.checkpoint import save_checkpoint
from vcm_sweep.sweep.training.interrupts import deferred_interrupts
from vcm_sweep.sweep.training.orders import Orders
from vcm_sweep.sweep.training.outcome import record_of
from vcm_sweep.sweep.training.replay import Replay
from vcm_sweep.sweep.training.shares import Shares
from vcm_sweep.sweep.training.stack import ResumableStack, Stack
from vcm_sweep.sweep.training.trial_progress import HowFar, TrialProgress
from vcm_sweep.sweep.trial import Trial, TrialRecord

_log = logging.getLogger("vcm_sweep")

_TEST_CHUNK = 500  # test samples per forward pass, which bounds the memory
# Batches between two checks of the loss on a GPU: each check waits for the GPU.
_CUDA_CHECK_EVERY = 64

State: TypeAlias = tuple[dict[str, torch.Tensor], TrialProgress] | None
"""Tensors and progress of a trial; None at its beginning."""


class StackedTraining:
    """A training of several trials in one stack.

    A trial that stops (diverged, late, paused, stopped early) is frozen: it stays in the stack at learning rate 0.
    """

    def __init__(self, trials: Sequence[Trial], spec: dict[str, Any], data: DataSet, device: str) -> None:
        self.trials, self.spec, self.data = trials, spec, data
        self.shares = Shares(len(trials))
        self.stack: Stack = build_stack(trials, spec, data.train_x.shape[1:], data.classes)
        self.resumable = self.stack if isinstance(self.stack, ResumableStack) else None
        self.progress = [TrialProgress() for _ in trials]
        self.orders = Orders([trial.seeds.data_order for trial in trials], len(data.train_y), spec["batch"])
        self.epoch = self.batch = 0
        self.deadlines = np.array([trial.deadline_s for trial in trials])
        self.move(device)

    def move(self, device: str) -> None:
        """Train on torch's device of that name; the cells are made on the CPU."""
        self.device = device
        self.orders.ahead = device != "cpu"
        self.stack.to(device)
        self.x, self.y = self.data.train_x.to(device), self.data.train_y.to(device)
        self.total = torch.zeros(len(self.trials), device=device)
        self.pulses = self.stack.pulses()
        self.replay = self._replay()
        self.check_every = 1 if device == "cpu" else _CUDA_CHECK_EVERY

    def _replay(self) -> Replay | None:
        able = self.device != "cpu" and torch.cuda.is_available() and Replay.possible
        counts = self.stack.counts() if able else None
        return None if counts is None else Replay(self._work, self.stack.forget, counts)

    def unfit(self, states: Sequence[State]) -> list[int]:
        """Trials whose saved states do not fit this network and schedule."""
        return [k for k, state in enumerate(states) if state is not None and not self._fits(k, *state)]

    def _fits(self, k: int, tensors: Mapping[str, torch.Tensor], progress: TrialProgress) -> bool:
        if self.resumable is None:
            return False
        fresh = self.resumable.state(k)
        return (
            {name: (t.shape, t.dtype) for name, t in fresh.items()}
            == {name: (t.shape, t.dtype) for name, t in tensors.items()}
            and progress.epoch <= self.spec["epochs"]
            and progress.batch <= self.batches
        )

    def restore(self, states: Sequence[State]) -> None:
        """Continue from the saved states of the trials, which must all be at the same step."""
        for k, state in enumerate(states):
            if state is not None and self.resumable is not None:
                self.resumable.load_state(k, state[0])
                self.progress[k] = state[1]
        self.epoch, self.batch = self.progress[0].epoch, self.progress[0].batch
        # Time that was spent before counts against the deadline.
        self.deadlines -= [progress.charged_s for progress in self.progress]
        self.total.copy_(torch.tensor([progress.epoch_loss for progress in self.progress]))
        for _ in range(self.epoch):
            self.next_order()

    def fit(self, checkpoints: str | None, checkpoint_s: float) -> None:
        """Train to the end, or until half of the stack has stopped; save all states every ``checkpoint_s`` seconds.

        Raises:
            KeyboardInterrupt: an interrupt came; the batch has been finished and all states have been saved.
        """
        with deferred_interrupts() as interrupted, HowFar(self.spec["epochs"], self.batches) as far:
            self._fit(checkpoints, checkpoint_s, interrupted, far)

    def _fit(self, checkpoints: str | None, checkpoint_s: float, interrupted: Callable[[], bool], far: HowFar) -> None:
        if interrupted():  # while it waited for its turn; the states of a group that was stacked anew are only here
            self._interrupt(checkpoints)
        saved = time.perf_counter()
        # The counts of pulses at the start, which restored states may have set.
        self.pulses = self.stack.pulses()
        while self.active and self.epoch < self.spec["epochs"]:
            order = self.next_order()
            self.stack.train(True)
            rates = self.rates()
            while self.batch < self.batches:
                self.step(order[:, self.batch * self.spec["batch"] : (self.batch + 1) * self.spec["batch"]], rates)
                self.batch += 1
                far.at(self.epoch, self.batch)
                if interrupted():
                    self._interrupt(checkpoints)
                if checkpoints and time.perf_counter() - saved > checkpoint_s:
                    self._save(checkpoints, self._unended())
                    saved = time.perf_counter()
                if self.batch % self.check_every == 0 and self._freeze(checkpoints):
                    rates = self.rates()
                    if not self.active:
                        return
            self._freeze(checkpoints)
            self._end_of_epoch()
            self._pause(checkpoints)
            if interrupted():
                self._interrupt(checkpoints)
            # Half of the trials have stopped: the caller puts the others into a smaller, faster stack.
            if (
                self.resumable is not None
                and 0 < 2 * len(self.active) <= len(self.trials)
                and self.epoch < self.spec["epochs"]
            ):
                return
        for k in self.active:
            self._stop(k, "ok")

    def _interrupt(self, checkpoints: str | None) -> None:
        if checkpoints:
            self._save(checkpoints, self._unended())
        raise KeyboardInterrupt

    def take_steps(self, count: int) -> None:
        """Take some steps at the first learning rate, for a measurement of their time."""
        order, rates, size = self.next_order(), self.rates(), self.spec["batch"]
        for step in range(count):
            first = step * size % (order.shape[1] - size + 1)
            self.step(order[:, first : first + size].clamp_min(0), rates)
        if self.device != "cpu":
            torch.cuda.synchronize(self.device)

    def bytes_used(self, trials: int = 0) -> float:
        """Estimated memory of these trials, or of ``trials`` like them: that of cells, inputs and outputs.

        There are six values for each input and output of a layer (noise, quantised values, copies of patches): a test
        holds those of one layer at a time, a training step those of all layers. Cells take a quarter more than their
        tensors, and programming, which goes trial by trial, eight times the tensors of one trial. Where this was
        measured, the estimate was enough, and up to three times too large.
        """
        held, lines = self.stack.memory()
        tested = min(_TEST_CHUNK, len(self.data.test_y)) * max(lines)
        step = int(self.spec["batch"]) * sum(lines)
        # A recorded step has memory of its own, which it keeps.
        passing = 4.0 * 6 * (max(tested, step) + (step if self.replay is not None else 0))
        return (trials or len(self.trials)) * (1.25 * held + passing) + 8 * held

    @property
    def batches(self) -> int:
        """Batches in an epoch."""
        return -(-len(self.data.train_y) // int(self.spec["batch"]))

    @property
    def active(self) -> list[int]:
        """Numbers of the trials that still train."""
        return [k for k, progress in enumerate(self.progress) if not progress.stopped]

    def rates(self) -> list[float]:
        """The learning rate of every trial in this epoch; 0 for those that have stopped."""
        return [
            0.0 if progress.stopped else _rate(trial.inputs["network"], self.epoch)
            for trial, progress in zip(self.trials, self.progress, strict=True)
        ]

    def next_order(self) -> torch.Tensor:
        """The order of samples in the next epoch: (trials, batches * batch) row numbers, -1 for none."""
        return self.orders.next().to(self.device)

    def step(self, rows: torch.Tensor, rates: Sequence[float]) -> None:
        """One step on the samples ``rows``, (trials, batch) row numbers, -1 for none, at each trial's learning rate."""
        active = [k for k, rate in enumerate(rates) if rate]
        if self.replay is not None:
            self.replay.step(rows, rates)
        elif self.pulses is None:
            self._work(rows, rates)
        else:
            self._pass(rows)
            self.shares.equally(active)
            self.stack.step(rates)
            before, self.pulses = self.pulses, self.stack.pulses()
            assert self.pulses is not None
            self.shares.by_pulses(self.pulses - before, active)
            return
        self.shares.equally(active)

    def _work(self, rows: torch.Tensor, rates: Sequence[float]) -> None:
        """All of a step that a GPU does."""
        self._pass(rows)
        self.stack.step(rates)

    def _pass(self, rows: torch.Tensor) -> None:
        """Forward and back, adding to the losses of the epoch."""
        chosen = rows.clamp_min(0)
        x, y = self.x[chosen.reshape(-1)], self.y[chosen]
        counts = rows >= 0
        weight = counts.to(torch.float32)
        log_p = torch.log_softmax(self.stack.scores(x), -1).gather(-1, y[..., None])[..., 0]
        loss = -torch.where(counts, log_p, 0.0).sum(1) / weight.sum(1)
        loss.sum().backward()
        self.total += loss.detach() * weight.sum(1)

    def _freeze(self, checkpoints: str | None) -> bool:
        """Stop trials whose loss is not finite or that are late; returns whether there were any."""
        broken = self._freeze_broken()
        return self._freeze_late(checkpoints) or broken

    def _freeze_late(self, checkpoints: str | None) -> bool:
        """Stop trials that have used up their time; returns whether there were any."""
        late = [k for k in np.flatnonzero(self.shares.wall_s > self.deadlines).tolist() if k in self.active]
        if late and checkpoints:
            # A retry continues from here with a full deadline.
            self._save(checkpoints, late, charged=False)
        for k in late:
            deadline = self.trials[k].deadline_s
            self._stop(k, "timeout", f"not done within its deadline_s = {deadline:g} s")
        return bool(late)

    def _pause(self, checkpoints: str | None) -> None:
        """Stop trials that are to pause after this epoch; if their states cannot be saved they go on."""
        due = [k for k in self.active if self.trials[k].pause_after == self.epoch < self.spec["epochs"]]
        if not due or not checkpoints or self.resumable is None:
            return
        self._save(checkpoints, due)
        for k in due:
            self._stop(k, "preempted", f"paused after epoch {self.epoch}")

    def _freeze_broken(self) -> bool:
        """Stop trials whose loss is not finite; returns whether there were any."""
        broken = [k for k in torch.nonzero(~torch.isfinite(self.total)).flatten().tolist() if k in self.active]
        for k in broken:
            self._stop(k, "diverged", f"loss is not finite in epoch {self.epoch + 1}, batch {self.batch}")
        return bool(broken)

    def _end_of_epoch(self) -> None:
        self.stack.train(False)
        tested = self.accuracies(self.data.test_x, self.data.test_y)
        validated = self.accuracies(self.data.valid_x, self.data.valid_y) if len(self.data.valid_y) else None
        self.shares.equally(self.active)
        self.epoch, self.batch = self.epoch + 1, 0
        losses = (self.total / len(self.data.train_y)).tolist()
        self.total.zero_()
        for k in self.active:
            progress = self.progress[k]
            progress.loss = losses[k]
            if math.isnan(tested[k]):
                self._stop(k, "diverged", f"scores are not finite after epoch {self.epoch}")
                continue
            progress.history.append(tested[k])
            if validated is not None:
                progress.validate(validated[k])
                if 0 < self.spec.get("patience", 0) <= progress.since_best:
                    self._stop(k, "ok", f"stopped early after epoch {self.epoch}")

    @torch.no_grad()
    def accuracies(self, samples: torch.Tensor, labels: torch.Tensor) -> list[float]:
        """Share of samples that are right, with all read noise; NaN if scores are not finite."""
        right = torch.zeros(len(self.trials), dtype=torch.float64, device=self.device)
        for x, y in zip(samples.split(_TEST_CHUNK), labels.split(_TEST_CHUNK), strict=True):
            x, y = x.to(self.device, non_blocking=True), y.to(self.device, non_blocking=True)
            # ``repeat`` copies the samples even for a single trial, since a network that works in place would otherwise
            # change them.
            scores = self.stack.scores(x.repeat(len(self.trials), *(1,) * (x.dim() - 1)))
            right += (scores.argmax(-1) == y).double().sum(1)
            right += torch.where(torch.isfinite(scores).all(-1).all(-1), 0.0, math.nan)
        return (right / len(labels)).tolist()

    def _stop(self, k: int, status: str, reason: str = "") -> None:
        progress = self.progress[k]
        progress.stopped, progress.reason = status, reason
        self._account(k)

    def _account(self, k: int) -> None:
        """Store in its progress how far trial k is."""
        progress = self.progress[k]
        progress.epoch, progress.batch = self.epoch, self.batch
        progress.epoch_loss = float(self.total[k])

    def states(self, chosen: Sequence[int], charged: bool = True) -> list[State]:
        """Tensors and progress of the chosen trials.

        ``charged``: whether the time so far counts against the deadline of a trial that continues from the state.
        """
        states: list[State] = []
        for k in chosen:
            if self.resumable is None:
                continue
            if not self.progress[k].stopped:
                self._account(k)
            now = self._up_to_now(k)
            now = now if charged else replace(now, charged_s=0.0)
            states.append((self.resumable.state(k), now))
        return states

    def _unended(self) -> list[int]:
        """Trials whose state is worth saving: all but the late and the paused, which were saved when they stopped."""
        return [k for k, progress in enumerate(self.progress) if progress.stopped not in ("timeout", "preempted")]

    def _save(self, folder: str, chosen: Sequence[int], charged: bool = True) -> None:
        for k, state in zip(chosen, self.states(chosen, charged), strict=self.resumable is not None):
            if state is None:
                continue
            try:
                save_checkpoint(folder, self.trials[k].key, *state)
            except OSError as error:
                why = error.strerror or " ".join(str(error).split())[:200]
                _log.warning("checkpoints cannot be written to %s (%s): the training goes on without", folder, why)
                return

    def records(self) -> list[TrialRecord]:
        """The records of all trials that have stopped."""
        self.shares.equally(self.active)
        stopped = [k for k, progress in enumerate(self.progress) if progress.stopped]
        return [
            record_of(self.trials[k], self._up_to_now(k), self.stack.figures(k), self.data, int(self.spec["batch"]))
            for k in stopped
        ]

    def _up_to_now(self, k: int) -> TrialProgress:
        """The progress of trial k, including the time that it took in this stack."""
        progress, wall_s, cpu_s = self.progress[k], float(self.shares.wall_s[k]), float(self.shares.cpu_s[k])
        return replace(
            progress,
            history=list(progress.history),
            wall_s=progress.wall_s + wall_s,
            cpu_s=progress.cpu_s + cpu_s,
            charged_s=progress.charged_s + wall_s,
        )


def _rate(schedule: Mapping[str, Any], epoch: int) -> float:
    """The learning rate in an epoch, of a canonical [network] table."""
    step = schedule.get("lr_step_epochs", 0)
    decay = schedule.get("lr_gamma", 1.0) ** (epoch // step) if step else 1.0
    return float(schedule["lr"] * decay)
