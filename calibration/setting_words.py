"""Settings as words: `--set name=value` on a frozen dataclass, by the types of its defaults."""

import difflib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields, replace
from typing import Any

from rt.errors import BadSettings


def words(assignments: Iterable[str]) -> dict[str, str]:
    """Take "name=value" apart.  Raises BadSettings where there is no name or no `=`."""
    found = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not name or not equals:
            raise BadSettings(f"--set takes name=value, found {assignment!r}")
        found[name.strip()] = value.strip()
    return found


def changed(settings: Any, changes: Mapping[str, Any]) -> Any:
    """A copy of a frozen dataclass with some fields changed.

    changes: values by name; strings are read as the type of the present value.
    Raises BadSettings for an unknown name, naming the nearest, and for a value of another type.
    """
    known = [field.name for field in fields(settings)]
    values = {}
    for name, value in changes.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, 1, cutoff=0.0)[0]
            raise BadSettings(f"this recipe has no setting {name!r}; the nearest known one is {near!r}")
        values[name] = _read(name, value, getattr(settings, name)) if isinstance(value, str) else value
    return replace(settings, **values)


def as_json(settings: Any) -> dict[str, Any]:
    """The settings as JSON gives them back: tuples as lists."""
    found: dict[str, Any] = json.loads(json.dumps(asdict(settings)))
    return found


def _read(name: str, word: str, now: Any) -> Any:
    if isinstance(now, str):
        return word
    try:
        value = json.loads(word)
    except ValueError:
        value = None
    if isinstance(now, bool):
        fits, kind = isinstance(value, bool), "true or false"
    elif isinstance(now, int):
        fits, kind = type(value) is int, "a whole number"
    elif isinstance(now, float):
        fits, kind = type(value) in (int, float), "a number"
        value = float(value) if fits else value
    else:
        fits, kind = isinstance(value, list), "a list such as [1, 2]"
        value = tuple(value) if fits else value
    if not fits:
        raise BadSettings(f"{name} must be {kind}, found {word!r}")
    return value
