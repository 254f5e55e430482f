"""`myomirror simulate signals`, for rt/commands.py to find.  Imported for `--help`: nothing heavy up here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

signals = typer.Typer(add_completion=False)


@signals.command()
def simulate_signals(
    out: Annotated[Path, typer.Option(help="A folder; an interrupted one is continued.")],
    participants: Annotated[int, typer.Option(help="How many people.")] = 36,
    sessions: Annotated[int, typer.Option(help="Visits of each.")] = 2,
    tasks: Annotated[str, typer.Option(help="Only these, with commas between; all 17 by default.")] = "",
    chains: Annotated[str, typer.Option(help="Of fast, standard, calm and jena_offline.")] = "standard",
    patients: Annotated[float, typer.Option(help="Share with palsy, synkinesis or a recovery, 0 to 1.")] = 0.0,
    emotion_repeats: Annotated[int, typer.Option(help="How often each emotion comes.")] = 4,
    repetitions: Annotated[int, typer.Option(help="Of each movement in its clip.")] = 3,
    mishaps: Annotated[float, typer.Option(help="What goes wrong with electrodes; 1 = as usual, 0 = nothing.")] = 1.0,
    seconds: Annotated[float | None, typer.Option(help="Only the beginning of each clip.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same people.")] = 0,
    processes: Annotated[int | None, typer.Option(help="One core each; all cores by default.")] = None,
) -> None:
    """Expressions and envelopes of synthetic people, without pictures: to train EMG2Exp and Exp2EMG."""
    import os

    from rich.console import Console

    from calibration.cohort_plan import CohortSettings
    from calibration.counted import counted
    from calibration.data.emg_signals import make_signals
    from engines.emg.tasks import TASKS

    settings = CohortSettings(
        participants=participants,
        sessions=sessions,
        tasks=_words(tasks) or tuple(task.name for task in TASKS),
        emotion_repeats=emotion_repeats,
        repetitions=repetitions,
        patients=patients,
        mishaps=mishaps,
        seconds=seconds,
        seed=seed,
    )
    console = Console()
    with counted(console, "Recordings", participants * sessions, kept=True) as step:
        cores = len(os.sched_getaffinity(0)) if processes is None else processes
        count = make_signals(settings, _words(chains), out, cores, step)
    console.print(f"{out}: {count} synthetic recordings, signals only", highlight=False, soft_wrap=True)


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())
