"""An authority is renewed in two steps: in each, bundles of this step and of the one before understand each other."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError
from typer.testing import CliRunner

from ticktalk.cli.keys import keys_app
from ticktalk.cli.remote import Remote
from ticktalk.errors import TTError
from ticktalk.network_keys import COMMAND
from ticktalk.physical.trust import authority, credentials, identity
from ticktalk.physical.trust.authority import init_authority, issue, issued, revoke, rotate
from ticktalk.physical.trust.credentials import Credentials
from ticktalk.physical.trust.guard import Guard
from ticktalk.physical.trust.trust import Trust
from ticktalk.runtime_manager import TTRuntimeManagerPhysical

MANAGER = "runtime-manager"
STEPS = (0, 1, 2)


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The folder of an authority before its renewal, after the first step, and after the second."""
    folder = tmp_path_factory.mktemp("steps")
    keys = folder / "keys"
    init_authority(keys)
    issue(keys, "edge", ["127.0.0.1"])
    issue(keys, "anna", role="operator")
    issue(keys, "lost")
    revoke(keys, "lost")
    found = []
    for step in STEPS:
        if step:
            second, paths = rotate(keys)
            assert second == (step == 2)
            assert sorted(path.stem for path in paths) == ["anna", "edge", MANAGER], "nothing for a revoked name"
        found.append(Path(shutil.copytree(keys, folder / str(step))))
    return found


def guard(folder: Path, name: str, role: Any) -> Guard:
    return Trust(name, role, str(folder / f"{name}.json"), "192.0.2.1:5555").guard


def understand(manager: Guard, edge: Guard) -> None:
    """A question, a message each way with code, and the revocation list."""
    asked = manager.asked(COMMAND, edge.ask(manager.greeting(), COMMAND, b"").payload)
    manager.admit(asked.badge, "edge")
    edge.admit(manager.badge, MANAGER)
    assert manager.open(edge.seal(MANAGER, b"x")).body == b"x"
    assert edge.open(manager.seal("edge", b"code", signed=True)).signed


@pytest.mark.parametrize("manager", STEPS)
@pytest.mark.parametrize("edge", STEPS)
def test_bundles_of_neighbouring_steps_understand_each_other(steps: list[Path], manager: int, edge: int) -> None:
    one, another = guard(steps[manager], MANAGER, "manager"), guard(steps[edge], "edge", "ensemble")
    if abs(manager - edge) < 2:
        understand(one, another)
        another.revoke((steps[manager] / "revocations.signed").read_bytes())
        assert another.revocations is not None and len(another.revocations.revoked) == 1
    else:
        with pytest.raises(TTError, match="of another authority"):
            understand(one, another)


def test_others_verify_the_certificates_as_tls_will(steps: list[Path]) -> None:
    def bundle(step: int) -> dict[str, str]:
        return dict(json.loads((steps[step] / "edge.json").read_text()))

    for here in STEPS:
        store = Store(x509.load_pem_x509_certificates(bundle(here)["ca_certificate"].encode()))
        for there in STEPS:
            shown = x509.load_pem_x509_certificate(bundle(there)["certificate"].encode())
            verifier = PolicyBuilder().store(store).build_client_verifier()
            if (here, there) != (0, 2):  # the new authority is not known there
                verifier.verify(shown, [])
            else:
                with pytest.raises(VerificationError):
                    verifier.verify(shown, [])
    keys = {bundle(step)["private_key"] for step in STEPS}
    assert len(keys) == 3, "each has keys of its own"


def test_the_former_authority_is_trusted_for_a_while(steps: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    manager, edge = guard(steps[2], MANAGER, "manager"), guard(steps[1], "edge", "ensemble")
    understand(manager, edge)

    class Later(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            return datetime.now(tz) + timedelta(days=31)

    monkeypatch.setattr(identity, "datetime", Later)
    with pytest.raises(TTError, match="'edge' expired on"):
        understand(manager, edge)
    monkeypatch.setattr(credentials, "datetime", Later)
    assert len(Credentials.load(steps[2] / "edge.json").authorities) == 1
    assert len(Credentials.load(steps[1] / "edge.json").authorities) == 2


def test_every_authority_of_a_bundle_is_checked(steps: list[Path], tmp_path: Path) -> None:
    path = tmp_path / "edge.json"
    content = json.loads((steps[1] / "edge.json").read_text())
    for more in (content["certificate"], "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"):
        path.write_text(json.dumps(content | {"ca_certificate": content["ca_certificate"] + more}))
        path.chmod(0o600)
        with pytest.raises(TTError, match=r"not issued by the authority|`ca_certificate` cannot be read"):
            Credentials.load(path)


def test_credentials_issued_and_revoked_between_are_of_the_same_kind(steps: list[Path], tmp_path: Path) -> None:
    for step in (1, 2):
        keys = Path(shutil.copytree(steps[step], tmp_path / str(step)))
        issue(keys, "new")
        understand_one = guard(keys, MANAGER, "manager")
        new = guard(keys, "new", "ensemble")
        understand_one.asked(COMMAND, new.ask(understand_one.greeting(), COMMAND, b"").payload)
        revoke(keys, "new")
        for folder in (steps[step - 1], steps[step]):
            member = guard(folder, "edge", "ensemble")
            member.revoke((keys / "revocations.signed").read_bytes())
            with pytest.raises(TTError, match="was revoked"):
                member.admit(new.badge, "new")
        assert [item.name for item in issued(keys)].count("edge") == step + 1


def test_a_renewal_is_not_begun_again_too_soon(steps: list[Path], tmp_path: Path) -> None:
    keys = Path(shutil.copytree(steps[2], tmp_path / "keys"))
    with pytest.raises(TTError, match=r"the authority before this one is trusted until .*: renew it again after that"):
        rotate(keys)
    (keys / "authority" / "former" / "until").write_text((datetime.now(UTC) - timedelta(days=1)).isoformat())
    assert rotate(keys)[0] is False
    assert rotate(keys)[0] is True


@pytest.mark.parametrize("step", [1, 2])
def test_a_step_that_failed_anywhere_is_finished_by_the_next_call(
    steps: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Each write and each move fails once: the disk is full, or the process ends there."""
    write, rename, done = authority._write, Path.rename, False
    for failing in range(1, 100):
        left = failing

        def count() -> None:
            nonlocal left
            left -= 1
            if not left:
                raise OSError(28, "No space left on device")

        keys = Path(shutil.copytree(steps[step - 1], tmp_path / str(failing)))
        with monkeypatch.context() as patched:
            patched.setattr(authority, "_write", lambda *arguments: (count(), write(*arguments)))
            patched.setattr(Path, "rename", lambda path, to: (count(), rename(path, to)))
            try:
                rotate(keys)
                done = True
            except TTError as error:
                assert "No space left on device" in str(error)
        if done:
            break
        second, paths = rotate(keys)
        assert second == (step == 2) and sorted(path.stem for path in paths) == ["anna", "edge", MANAGER]
        manager, edge = guard(keys, MANAGER, "manager"), guard(keys, "edge", "ensemble")
        understand(manager, edge)
        understand(guard(steps[step - 1], MANAGER, "manager"), edge)
        assert len(Credentials.load(keys / "edge.json").authorities) == 2
        edge.revoke((keys / "revocations.signed").read_bytes())
        assert edge.revocations is not None and [item.name for item in edge.revocations.revoked] == ["lost"]
        assert not [path.name for path in keys.iterdir() if path.name.startswith(".")]
    assert done and failing > 8


def test_a_second_step_whose_process_was_killed_between_its_moves_is_done_again(
    steps: list[Path], tmp_path: Path
) -> None:
    keys = Path(shutil.copytree(steps[1], tmp_path / "keys"))
    (keys / "authority").rename(keys / authority.ASIDE)
    assert rotate(keys)[0] is True
    understand(guard(keys, MANAGER, "manager"), guard(steps[1], "edge", "ensemble"))


def test_credentials_for_a_short_time_are_issued_anew_for_a_short_time(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    init_authority(keys)
    issue(keys, "guest", valid_for=timedelta(days=2), role="viewer")
    for _ in range(2):
        rotate(keys)
        left = Credentials.load(keys / "guest.json").expires - datetime.now(UTC)
        assert timedelta(days=1) < left <= timedelta(days=2)
        left = Credentials.load(keys / f"{MANAGER}.json").expires - datetime.now(UTC)
        assert left > timedelta(days=364)


def test_an_authority_that_ends_soon_is_renewed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Certificates of the first step cannot outlive it; those of the second do."""

    class Before(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            return datetime.now(tz) - timedelta(days=200)

    monkeypatch.setattr(authority, "AUTHORITY_VALID_FOR", timedelta(days=400))
    monkeypatch.setattr(authority, "datetime", Before)
    keys = tmp_path / "keys"
    init_authority(keys)
    ticks = iter(range(1000))

    class Passing(datetime):
        """A second passes whenever the time is read."""

        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            return datetime.now(tz) + timedelta(seconds=next(ticks))

    monkeypatch.setattr(authority, "datetime", Passing)
    rotate(keys)
    monkeypatch.undo()
    rotate(keys)
    expires = Credentials.load(keys / f"{MANAGER}.json").expires
    assert expires - datetime.now(UTC) > timedelta(days=364)


def test_the_command_says_what_to_do(steps: list[Path], tmp_path: Path) -> None:
    keys = Path(shutil.copytree(steps[0], tmp_path / "keys"))
    first, second, third = (
        CliRunner().invoke(keys_app, ["rotate", "--directory", str(keys), *more]) for more in ([], ["--days", "5"], [])
    )
    assert "1st step" in first.output and "once more" in first.output and "edge.json" in first.output
    assert "2nd step" in second.output and "for 5 days" in second.output
    assert isinstance(third.exception, TTError)


def test_real_managers_serve_commands_of_the_step_before_and_after(steps: list[Path]) -> None:
    for manager in STEPS:
        bundle = str(steps[manager] / f"{MANAGER}.json")
        with TTRuntimeManagerPhysical(None, "127.0.0.1", 0, 0, workers=0, credentials=bundle) as running:
            for command in STEPS:
                if abs(manager - command) < 2:
                    with Remote(running.address, str(steps[command] / "anna.json")) as anna:
                        assert anna.ask(do="status")["graphs"] == []
