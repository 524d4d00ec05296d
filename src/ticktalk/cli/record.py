"""`--record FILE.mcap`: the file is opened before the run, and what it lacks is told at the end."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from ticktalk.cli.streams import say
from ticktalk.cli.telemetry import telemetry
from ticktalk.durations import duration_text
from ticktalk.error_hints import wanted_by
from ticktalk.errors import TTError

if TYPE_CHECKING:
    from ticktalk.otel.sending import Telemetry
    from ticktalk.recording.mcap_file import Recording, RecordingWriter, Version
    from ticktalk.recording.writer import Writer
    from ticktalk.runtime_manager import TTRuntimeManager, TTRuntimeManagerPhysical


def recording_writer(path: Path) -> RecordingWriter:
    """Open a recording.

    Raises:
        TTError: it cannot be written, or its library is not installed.
    """
    with wanted_by("--record"):
        from ticktalk.recording.mcap_file import RecordingWriter
    return RecordingWriter(path)


def writer_to(path: Path | None, telemetry: Telemetry | None) -> Writer | None:
    """A taker of records that writes a file, sends telemetry, or both; None: neither.

    Raises:
        TTError: the file cannot be written, or its library is not installed.
    """
    writers: list[Writer] = [] if path is None else [recording_writer(path)]  # first, for a collector may be slow
    if telemetry is not None:
        writers.append(telemetry)
    if len(writers) < 2:
        return writers[0] if writers else None
    from ticktalk.recording.writer import Several

    return Several(writers)


def is_recording(path: Path) -> bool:
    """True if a file is an MCAP file, by its first bytes; where these are of nothing that is known, by its name."""
    try:
        with open(path, "rb") as file:
            begin = file.read(8)
    except OSError:
        begin = b""  # reading it says why
    return begin == b"\x89MCAP0\r\n" or (path.suffix == ".mcap" and not begin.startswith(b"{"))


def recording_at(path: Path) -> Recording:
    """Read a recording.

    Raises:
        TTError: it is none, or the library is not installed.
    """
    with wanted_by("a recording"):
        from ticktalk.recording.mcap_file import read_recording
    return read_recording(path)


def recorded_start(file: Path, context: int | None) -> tuple[Recording, list[Version]]:
    """A recording, and the start in it that is meant, with the versions that took over from it; None: the last one.

    Raises:
        TTError: it cannot be read, or has no such start.
    """
    recording = recording_at(file)
    versions = recording.versions(context)
    if not versions:
        there = ", ".join(str(setup.context) for setup in recording.setups)
        raise TTError(f"{file}: no start {context} was recorded (there are: {there})")
    return recording, versions


def tell_versions(versions: list[Version], what: str) -> None:
    """Say when a graph was replaced, if it was, and what follows from that."""
    if len(versions) > 1:
        begun = versions[0].since
        instants = [f"{duration_text(each.since - begun)} (start {each.setup.context})" for each in versions[1:]]
        say(f"the graph was replaced after {', '.join(instants)}: {what}")


def write_trace(recording: Path, trace: Path) -> None:
    """Write a recording as a timeline for Perfetto.

    Raises:
        TTError: it cannot be read or written, or a library is not installed.
    """
    read = recording_at(recording)
    check_trace()
    from ticktalk.recording.timeline import write_timeline

    write_timeline(read, trace)


def check_trace() -> None:
    """Make sure that a timeline can be written, before a long run.

    Raises:
        TTError: the library is not installed.
    """
    with wanted_by("a timeline"):
        import ticktalk.recording.timeline  # noqa: F401


def also_traced(record: Path | None, trace: Path, stack: ExitStack) -> Path:
    """The file of a recorded run, whose timeline is written when the stack is closed.

    Raises:
        TTError: a library is not installed, or there is no such folder.
    """
    check_trace()
    if not trace.parent.is_dir():
        raise TTError(f"--trace {trace}: there is no folder {trace.parent}")
    folder = stack.enter_context(TemporaryDirectory(prefix="ticktalk-"))
    file = record or Path(folder, "run.mcap")

    def write(_: object, error: BaseException | None, *more: object) -> None:
        try:
            write_trace(file, trace)
        except TTError:
            if error is None:
                raise  # else that one is told, and perhaps is why there is nothing to read

    stack.push(write)
    return file


class DeviceRecording:
    """The recording of a manager on devices, in a file, or as telemetry for a collector.

    Args:
        path: of the file; None: there is none.
        manager: whose contexts are recorded from now on.
        options: what was asked for, by option.
        otel: the collector's address; None: there is none.

    Raises:
        TTError: the file cannot be written. typer.BadParameter: the address is none.
    """

    def __init__(
        self, path: Path | None, manager: TTRuntimeManagerPhysical, options: dict[str, str], otel: str | None = None
    ) -> None:
        self._path, self._finished = path, True
        self._telemetry = None if otel is None else telemetry(otel, manager)
        writer = writer_to(path, self._telemetry)
        if writer is not None:
            from ticktalk.recording.recorder import Recorder

            self._recorder = Recorder(writer, {name: value for name, value in options.items() if value})
            self._finished = False
            manager.record(self._recorder, "" if path is None else str(path.absolute()))

    def look(self, status: dict[str, Any]) -> None:
        """Take the last status before graphs are stopped, and forgotten."""
        if self._telemetry is not None:
            self._telemetry.latest = status

    def finish(self) -> None:
        """End it, and say what it lacks; the graphs have been stopped."""
        if not self._finished:
            self._finished = True
            lacks = self._recorder.finish()
            if self._path is not None:
                tell_lacks(self._path, lacks)


def record_outputs(
    path: Path | None, manager: TTRuntimeManager, options: dict[str, str | None], stack: ExitStack
) -> Callable[[], None]:
    """Record the outputs of a manager, until the stack is closed, or what is given is called; None: nowhere.

    Raises:
        TTError: the file cannot be written.
    """
    if path is None:
        return lambda: None
    writer = recording_writer(path)
    from ticktalk.physical.manager_node import Callbacks
    from ticktalk.recording.outputs_only import RecordedOutputs
    from ticktalk.runtime_manager import TTRuntimeManagerPhysical

    given = {name: value for name, value in options.items() if value}
    devices = isinstance(manager, TTRuntimeManagerPhysical)
    recorded = RecordedOutputs(writer, manager.process.state, "devices" if devices else "simulation", given)
    calls = Callbacks()  # to write may block, and the thread that keeps time must not
    manager.process.outputs.listeners.append(calls.wrap(recorded.take) if devices else recorded.take)
    done = False

    def finish() -> None:
        nonlocal done
        if not done:
            done = True
            calls.close(None)
            recorded.begin()
            left_out = [f"{calls.left_out} outputs, which came faster than they are written"] if calls.left_out else []
            tell_lacks(path, recorded.finish(*left_out))

    stack.callback(finish)
    return finish


def tell_lacks(path: Path, lacks: list[str]) -> None:
    """Say what a recording lacks, if anything."""
    if lacks:
        from ticktalk.recording.writer import lacks_text

        say(f"{path}: the recording is incomplete. It lacks: {lacks_text(lacks)}")
