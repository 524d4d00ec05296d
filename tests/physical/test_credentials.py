"""Credentials: chains as others verify them, every way a bundle can be wrong, and Zenoh with and without them."""

import base64
import ipaddress
import json
import logging
import os
import queue
import shutil
import ssl
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

import pytest
import zenoh
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError
from systems import LIMIT, free_port
from typer.testing import CliRunner

from ticktalk.cli.keys import keys_app
from ticktalk.errors import TTError
from ticktalk.physical.network.zenoh_link import tls_settings
from ticktalk.physical.trust import authority, credentials
from ticktalk.physical.trust.authority import init_authority, issue, issued, revoke
from ticktalk.physical.trust.credentials import Credentials
from ticktalk.physical.trust.revocations import REVOCATIONS_FILE, Revocations
from ticktalk.physical.trust.signing import Signer


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority that stays unchanged: the manager, `edge-a` with addresses, `edge-b` without."""
    keys = tmp_path_factory.mktemp("made") / "keys"
    init_authority(keys, ["192.0.2.1", "manager.example"])
    issue(keys, "edge-a", ["127.0.0.1", "plc7.example", "2001:db8::7"])
    issue(keys, "edge-b")
    return keys


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another authority, with the same names."""
    keys = tmp_path_factory.mktemp("foreign") / "keys"
    init_authority(keys)
    issue(keys, "edge-a", ["127.0.0.1"])
    return keys


@pytest.fixture
def keys(made: Path, tmp_path: Path) -> Path:
    """A copy of `made` to change."""
    return Path(shutil.copytree(made, tmp_path / "keys"))


def at(monkeypatch: pytest.MonkeyPatch, module: Any, ago: timedelta) -> None:
    """Let `module` believe that it is `ago` before now."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            return datetime.now(tz) - ago

    monkeypatch.setattr(module, "datetime", Clock)


def content(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text()))


def altered(path: Path, **changes: Any) -> Path:
    path.write_text(json.dumps(content(path) | changes))
    path.chmod(0o600)
    return path


def certificate_in(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(content(path)["certificate"].encode())


def authority_in(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(content(path)["ca_certificate"].encode())


# Certificates


def test_certificates_verify_as_servers_and_clients(made: Path, foreign: Path) -> None:
    policies = PolicyBuilder().store(Store([authority_in(made / "edge-a.json")]))
    manager, edge = (certificate_in(made / f"{name}.json") for name in ("runtime-manager", "edge-a"))
    for address in ("192.0.2.1", "127.0.0.1"):
        policies.build_server_verifier(x509.IPAddress(ipaddress.ip_address(address))).verify(manager, [])
    for host in ("manager.example", "localhost"):
        policies.build_server_verifier(x509.DNSName(host)).verify(manager, [])
    policies.build_server_verifier(x509.IPAddress(ipaddress.ip_address("2001:db8::7"))).verify(edge, [])
    policies.build_client_verifier().verify(edge, [])

    with pytest.raises(VerificationError):
        policies.build_server_verifier(x509.IPAddress(ipaddress.ip_address("192.0.2.1"))).verify(edge, [])
    for policy in (policies.build_client_verifier(), policies.build_server_verifier(x509.DNSName("localhost"))):
        with pytest.raises(VerificationError):
            policy.verify(certificate_in(foreign / "runtime-manager.json"), [])


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl here")
def test_openssl_agrees(made: Path, foreign: Path) -> None:
    def verifies(home: Path, number: int, *options: str) -> bool:
        command = ["openssl", "verify", "-x509_strict", *options, "-CAfile", str(made / "authority" / "ca.pem")]
        record = home / "authority" / "issued" / f"{number:04}.pem"
        return subprocess.run([*command, str(record)], capture_output=True, check=False).returncode == 0

    for number in (1, 2, 3):
        assert verifies(made, number, "-purpose", "sslserver")
        assert verifies(made, number, "-purpose", "sslclient")
    assert verifies(made, 1, "-verify_ip", "192.0.2.1")
    assert not verifies(made, 2, "-verify_ip", "192.0.2.1")
    assert not verifies(foreign, 1)
    assert not verifies(made, 1, "-attime", str(int(time.time()) + 400 * 86400))


def test_the_content_of_a_certificate(made: Path) -> None:
    ca, edge = authority_in(made / "edge-a.json"), certificate_in(made / "edge-a.json")
    assert isinstance(ca.public_key(), EllipticCurvePublicKey)
    constraints = ca.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical and constraints.value == x509.BasicConstraints(ca=True, path_length=0)
    usage = ca.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.key_cert_sign and usage.crl_sign and not usage.digital_signature
    assert not edge.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert set(edge.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == {
        ExtendedKeyUsageOID.SERVER_AUTH,
        ExtendedKeyUsageOID.CLIENT_AUTH,
    }
    issuer = edge.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    subject = ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    assert issuer.key_identifier == subject.key_identifier


def test_the_files_that_are_written(made: Path) -> None:
    assert sorted(path.name for path in made.iterdir()) == [
        "authority",
        "edge-a.json",
        "edge-b.json",
        REVOCATIONS_FILE,
        "runtime-manager.json",
    ]
    for path in (*made.glob("*.json"), made / "authority" / "ca.key", made / "authority" / "signing.key"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    manager, edge = content(made / "runtime-manager.json"), content(made / "edge-a.json")
    assert (manager["role"], edge["role"]) == ("manager", "ensemble")
    assert "signing_key" in manager and "signing_key" not in edge
    assert manager["verify_key"] == edge["verify_key"]
    assert (made / "authority" / "ca.key").read_text() not in (made / "runtime-manager.json").read_text()


# Bundles


def test_a_bundle_is_read(made: Path) -> None:
    loaded = Credentials.load(made / "edge-a.json")
    assert (loaded.name, loaded.role) == ("edge-a", "ensemble")
    assert loaded.serial == f"{certificate_in(made / 'edge-a.json').serial_number:040x}"
    assert timedelta(days=364) < loaded.expires - datetime.now(UTC) <= timedelta(days=365)
    assert "PRIVATE" not in repr(loaded)
    assert Credentials.load(str(made / "runtime-manager.json")).role == "manager"


def test_files_that_are_no_bundles_are_refused(keys: Path, tmp_path: Path) -> None:
    edge = keys / "edge-a.json"

    def told(path: Path) -> str:
        with pytest.raises(TTError) as raised:
            Credentials.load(path)
        text = str(raised.value)
        assert text.startswith(f"{path}: ") and "PRIVATE" not in text
        return text

    assert "ticktalk keys issue NAME" in told(tmp_path / "missing.json")
    assert "cannot be read: Is a directory" in told(tmp_path)
    other = tmp_path / "other.json"
    for data in (b"", b"\xff\xfe", b"[]", b'{"format": "png"}', b'{"format": "ticktalk-credentials", "version": 1}'):
        other.write_bytes(data)
        assert "no credentials, or damaged ones" in told(other)
    other.write_bytes(edge.read_bytes()[:-400])
    assert "no credentials, or damaged ones" in told(other)
    other.write_bytes(b'{"format": "ticktalk-credentials", "version": 2}')
    assert "credentials of version 2, and this ticktalk reads version 1" in told(other)
    for part in ("ca_certificate", "certificate", "private_key", "verify_key"):
        shutil.copy(edge, other)
        assert f"`{part}` cannot be read" in told(altered(other, **{part: "-----BEGIN"}))
    shutil.copy(keys / "runtime-manager.json", other)
    assert "`signing_key` cannot be read" in told(altered(other, signing_key=content(edge)["private_key"]))


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="every file can be read here")
def test_an_unreadable_file_is_an_error(keys: Path) -> None:
    (keys / "edge-a.json").chmod(0)
    with pytest.raises(TTError, match="cannot be read: Permission denied"):
        Credentials.load(keys / "edge-a.json")


@pytest.mark.skipif(os.name != "posix", reason="no file modes here")
def test_a_private_key_that_others_can_read_gives_a_warning(keys: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        Credentials.load(keys / "edge-a.json")
        assert not caplog.records
        (keys / "edge-a.json").chmod(0o644)
        Credentials.load(keys / "edge-a.json")
    assert "chmod 600" in caplog.text


def test_altered_bundles_are_refused(keys: Path, foreign: Path) -> None:
    edge_b, stranger = content(keys / "edge-b.json"), content(foreign / "edge-a.json")
    whole = (keys / "edge-a.json").read_text()
    der = ssl.PEM_cert_to_DER_cert(edge_b["ca_certificate"])
    other_curve = der.replace(bytes.fromhex("2a8648ce3d030107"), bytes.fromhex("2a8648ce3d040107"))
    assert other_curve != der
    for changes, what in (
        ({"ca_certificate": ssl.DER_cert_to_PEM_cert(other_curve)}, "not issued by the authority in the same file"),
        ({"private_key": edge_b["private_key"]}, "private key does not fit the certificate of 'edge-a'"),
        ({"certificate": edge_b["certificate"]}, "private key does not fit"),
        ({"ca_certificate": stranger["ca_certificate"]}, "not issued by the authority in the same file"),
        ({"ca_certificate": edge_b["certificate"]}, "not issued by the authority in the same file"),
        (
            {"certificate": stranger["certificate"], "private_key": stranger["private_key"]},
            "not issued by the authority in the same file",
        ),
        ({"name": "edge-b"}, "credentials for 'edge-b' with the certificate of 'edge-a'"),
        ({"role": "manager"}, "says 'manager', the certificate of 'edge-a' says 'ensemble'"),
    ):
        (keys / "edge-a.json").write_text(whole)
        with pytest.raises(TTError, match=what) as raised:
            Credentials.load(altered(keys / "edge-a.json", **changes))
        assert "ticktalk keys issue" in str(raised.value)
    with pytest.raises(TTError, match="signing key is missing"):
        Credentials.load(altered(Path(shutil.copy(keys / "runtime-manager.json", keys / "m.json")), signing_key=""))
    stolen = content(foreign / "runtime-manager.json")["signing_key"]
    with pytest.raises(TTError, match="does not fit its public half"):
        Credentials.load(altered(keys / "runtime-manager.json", signing_key=stolen))


def test_a_role_is_read_from_the_certificate(keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for role in ("ensemble", "operator", "viewer"):
        path = issue(keys, f"a-{role}", role=role)
        assert Credentials.load(path).role == role
        with pytest.raises(TTError, match=f"says '{role}'"):
            Credentials.load(altered(path, role="viewer" if role != "viewer" else "operator"))
    for name, role in (("edge-a", "manager"), ("runtime-manager", "operator")):
        with pytest.raises(ValueError, match="and with no other"):
            issue(keys, name, role=role)  # type: ignore[arg-type]
    monkeypatch.setattr(credentials, "role_of", lambda certificate: None)  # one from before there were roles
    with pytest.raises(TTError, match=r"gives no role.*`ticktalk keys issue edge-a --role ensemble`"):
        Credentials.load(keys / "edge-a.json")


def test_expired_credentials_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at(monkeypatch, authority, timedelta(days=400))
    init_authority(tmp_path / "keys")
    path = issue(tmp_path / "keys", "edge-a", [], timedelta(days=30))
    day = datetime.now(UTC) - timedelta(days=370)
    with pytest.raises(TTError, match=rf"certificate of 'edge-a' expired on {day:%Y-%m-%d} .*`ticktalk keys issue edg"):
        Credentials.load(path)
    with pytest.raises(TTError, match="`ticktalk keys issue runtime-manager`"):
        Credentials.load(tmp_path / "keys" / "runtime-manager.json")
    monkeypatch.undo()
    assert Credentials.load(issue(tmp_path / "keys", "edge-a")).name == "edge-a"


def test_an_expired_authority_issues_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at(monkeypatch, authority, timedelta(days=4000))
    init_authority(tmp_path / "keys")
    monkeypatch.undo()
    with pytest.raises(TTError, match="the authority expired"):
        issue(tmp_path / "keys", "edge-a")


def test_a_clock_that_is_behind_is_named(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at(monkeypatch, credentials, timedelta(hours=20))
    Credentials.load(made / "edge-a.json")
    at(monkeypatch, credentials, timedelta(days=20_000))
    with pytest.raises(TTError, match="set the clock"):
        Credentials.load(made / "edge-a.json")


# The authority


def test_an_authority_is_never_overwritten(keys: Path) -> None:
    before = {path: path.read_bytes() for path in keys.rglob("*") if path.is_file()}
    with pytest.raises(TTError, match="authority already"):
        init_authority(keys)
    assert {path: path.read_bytes() for path in keys.rglob("*") if path.is_file()} == before


def test_a_failed_command_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="without a port"):
        init_authority(tmp_path / "keys", ["192.0.2.1:5555"])
    assert not (tmp_path / "keys").exists()
    (tmp_path / "file").touch()
    with pytest.raises(TTError, match="cannot be written there"):
        init_authority(tmp_path / "file")
    with pytest.raises(TTError, match="ticktalk keys init"):
        issue(tmp_path / "keys", "edge-a")
    init_authority(tmp_path / "keys")
    for name in ("", "a b", "a/b", "a*", "a\0", "a\\b", "x" * 65):
        with pytest.raises(ValueError, match=r"is no name|is too long"):
            issue(tmp_path / "keys", name)
    for address in (
        "",
        "0.0.0.0",
        "::",
        "10.0.0.256",
        "a b",
        "*.example",
        "fe80::1%eth0",
        "[::1]",
        "tls/h",
        "ü.example",
    ):
        with pytest.raises(ValueError, match="is no address"):
            issue(tmp_path / "keys", "edge-a", [address])
    for valid_for in (timedelta(0), timedelta(days=-1), timedelta(days=5000)):
        with pytest.raises(ValueError, match="certificate"):
            issue(tmp_path / "keys", "edge-a", [], valid_for)
    with pytest.raises(TTError, match="cannot be written"):
        issue(tmp_path / "keys", "edge-a", path=tmp_path / "missing" / "file.json")
    assert [item.name for item in issued(tmp_path / "keys")] == ["runtime-manager"]


def test_a_name_keeps_its_addresses_when_it_is_issued_anew(keys: Path) -> None:
    issue(keys, "edge-a")
    issue(keys, "runtime-manager")
    issue(keys, "edge-a", ["192.0.2.9"])
    issue(keys, "edge-a", [])
    assert [(item.name, item.addresses) for item in issued(keys)][3:] == [
        ("edge-a", ["127.0.0.1", "plc7.example", "2001:db8::7"]),
        ("runtime-manager", ["192.0.2.1", "manager.example", "127.0.0.1", "localhost"]),
        ("edge-a", ["192.0.2.9"]),
        ("edge-a", []),
    ]
    assert Credentials.load(keys / "runtime-manager.json").signer()


def test_ensembles_may_be_named_as_files_of_the_authority(keys: Path) -> None:
    for name in ("authority", "revocations", "revocations.signed", "..", "ca"):
        assert Credentials.load(issue(keys, name)).name == name
    assert len(issued(keys)) == 8


def test_keys_of_another_authority_are_not_mixed_in(keys: Path, foreign: Path) -> None:
    shutil.copy(foreign / "authority" / "ca.key", keys / "authority" / "ca.key")
    with pytest.raises(TTError, match=r"ca\.key does not fit ca\.pem"):
        issue(keys, "edge-c")
    (keys / "authority" / "ca.key").write_text("")
    with pytest.raises(TTError, match="damaged"):
        issue(keys, "edge-c")


# Revocation


def test_revocation_is_by_certificate(keys: Path) -> None:
    edge = Credentials.load(keys / "edge-a.json")
    verifier = edge.revocation_verifier()
    before = Revocations.load(keys / REVOCATIONS_FILE, verifier)
    assert not before.is_revoked(edge.serial) and before.number == 0

    path = revoke(keys, "edge-a")
    after = Revocations.load(path, verifier)
    assert after.is_revoked(edge.serial) and after.number == 1 and after.time >= before.time
    assert not after.is_revoked(Credentials.load(keys / "edge-b.json").serial)
    with pytest.raises(TTError, match="revoked already"):
        revoke(keys, "edge-a")

    again = Credentials.load(issue(keys, "edge-a"))
    assert not after.is_revoked(again.serial)
    assert [(item.name, item.revoked is not None) for item in issued(keys)] == [
        ("runtime-manager", False),
        ("edge-a", True),
        ("edge-b", False),
        ("edge-a", False),
    ]
    last = Revocations.load(revoke(keys, "edge-a"), verifier)
    assert last.number == 2 and last.is_revoked(edge.serial) and last.is_revoked(again.serial)


def test_neither_a_name_without_certificate_nor_the_manager_is_revoked(keys: Path) -> None:
    with pytest.raises(TTError, match=r"no credentials were issued to 'edge-c'; they were to .*'edge-a', 'edge-b'"):
        revoke(keys, "edge-c")
    with pytest.raises(TTError, match="make a new authority"):
        revoke(keys, "runtime-manager")


def test_altered_revocation_lists_are_refused(keys: Path, foreign: Path) -> None:
    path = revoke(keys, "edge-a")
    verifier = Credentials.load(keys / "edge-b.json").revocation_verifier()
    whole = content(path)
    shorter = json.dumps(json.loads(whole["list"]) | {"revoked": []})
    for changes in (
        {"list": shorter},
        {"list": whole["list"] + " "},
        {"list": whole["list"].replace('"number":1', '"number":9')},
        {"signature": base64.b64encode(bytes(64)).decode()},
        {"signature": ""},
    ):
        with pytest.raises(TTError, match="was altered"):
            Revocations.decode(json.dumps(whole | changes).encode(), verifier)
    for data in (b"", b"\xff", b"{}", json.dumps(whole | {"signature": "*"}).encode()):
        with pytest.raises(TTError, match="no revocation list, or a damaged one"):
            Revocations.decode(data, verifier)
    with pytest.raises(TTError, match="another authority's"):
        Revocations.load(foreign / REVOCATIONS_FILE, verifier)
    path.write_text(json.dumps(whole | {"list": shorter}))
    with pytest.raises(TTError, match="was altered"):  # an authority does not extend a list that it did not sign
        revoke(keys, "edge-b")
    path.unlink()
    with pytest.raises(TTError, match="no revocation list"):
        issued(keys)


# Signatures


def test_only_code_of_the_manager_is_accepted(made: Path, foreign: Path) -> None:
    manager, edge = Credentials.load(made / "runtime-manager.json"), Credentials.load(made / "edge-a.json")
    signature = manager.signer().sign(b"code")
    assert edge.verifier().verify(b"code", signature)
    assert manager.verifier().verify(b"code", signature)
    assert not edge.verifier().verify(b"cod", signature)
    assert not edge.verifier().verify(b"code", bytes(64))
    assert not edge.verifier().verify(b"code", b"")
    assert not edge.verifier().verify(b"code", signature + b"\0")
    stranger = Credentials.load(foreign / "runtime-manager.json")
    assert not edge.verifier().verify(b"code", stranger.signer().sign(b"code"))
    with pytest.raises(TTError, match="cannot sign for the manager"):
        edge.signer()


def test_a_signature_holds_for_one_purpose_only(keys: Path) -> None:
    manager, edge = Credentials.load(keys / "runtime-manager.json"), Credentials.load(keys / "edge-a.json")
    whole = content(revoke(keys, "edge-b"))
    payload, signature = whole["list"].encode(), base64.b64decode(whole["signature"])
    assert edge.revocation_verifier().verify(payload, signature)
    assert not edge.verifier().verify(payload, signature)
    assert not edge.revocation_verifier().verify(payload, manager.signer().sign(payload))
    forged = whole | {"signature": base64.b64encode(manager.signer().sign(payload)).decode()}
    with pytest.raises(TTError, match="was altered"):
        Revocations.decode(json.dumps(forged).encode(), edge.revocation_verifier())


def test_the_prefix_is_part_of_the_format() -> None:
    class Key:
        def sign(self, data: bytes) -> bytes:
            return data

    key: Any = Key()
    assert Signer(key).sign(b"x") == b"ticktalk-code-v1\0x"


def test_a_missing_cryptography_is_an_error(made: Path, tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['cryptography'] = None\n"
        "from pathlib import Path\n"
        "from ticktalk.errors import TTError\n"
        "from ticktalk.physical.trust import authority, credentials\n"
        "for call in (lambda: credentials.Credentials.load(sys.argv[1]),\n"
        "             lambda: authority.init_authority(Path(sys.argv[2])),\n"
        "             lambda: authority.issue(Path(sys.argv[2]), 'a'), lambda: authority.issued(Path(sys.argv[2]))):\n"
        "    try: call()\n"
        '    except TTError as error: assert "pip install cryptography" in str(error)\n'
        "    else: raise AssertionError\n"
    )
    arguments = [str(made / "edge-a.json"), str(tmp_path / "keys")]
    result = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


# The command line


def test_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    def keys(*arguments: str, status: int = 0) -> tuple[str, str]:
        result = CliRunner().invoke(keys_app, arguments)
        assert result.exit_code == status, result.output
        return result.stdout, result.stderr

    out, err = keys("init", "--address", "192.0.2.1", "--address", "manager.example")
    assert out == f"{Path('ticktalk-keys', 'runtime-manager.json')}\n" and "made an authority" in err
    out, err = keys("issue", "edge-a", "--address", "192.0.2.2", "--days", "10")
    assert out == f"{Path('ticktalk-keys', 'edge-a.json')}\n" and "'edge-a', valid for 10 days" in err
    assert keys("issue", "edge-b", "-o", "b.json")[0] == "b.json\n"
    first = Credentials.load("ticktalk-keys/edge-a.json")
    assert first.expires - datetime.now(UTC) <= timedelta(days=10)
    assert Credentials.load("b.json").name == "edge-b"
    out, err = keys("revoke", "edge-a")
    assert out == f"{Path('ticktalk-keys', REVOCATIONS_FILE)}\n" and "manager must get" in err
    out, _ = keys("list")
    rows = [line.split() for line in out.splitlines()]
    assert rows[0] == ["Name", "Role", "Serial", "Expires", "Revoked"]
    assert [row[0] for row in rows[1:]] == ["runtime-manager", "edge-a", "edge-b"]
    assert rows[2] == ["edge-a", "ensemble", first.serial, f"{first.expires:%Y-%m-%d}", f"{datetime.now(UTC):%Y-%m-%d}"]
    assert len(rows[3]) == 4

    keys("issue", "anna", "--role", "operator")
    keys("issue", "anna")
    assert [row.split()[:2] for row in keys("list")[0].splitlines()[-2:]] == [["anna", "operator"]] * 2
    assert "no other" in keys("issue", "runtime-manager", "--role", "viewer", status=2)[1]

    assert "is no name" in keys("issue", "a/b", status=2)[1]
    assert "without a port" in keys("issue", "edge-c", "--address", "192.0.2.1:1", status=2)[1]
    assert "cannot outlive its authority" in keys("issue", "edge-c", "--days", "9999", status=2)[1]
    assert "loopback only" in keys("init", "--directory", "other")[1]


# Zenoh


def session(mode: str, endpoint: str, settings: dict[str, Any]) -> zenoh.Session:
    config = zenoh.Config()
    for key, value in {
        "mode": mode,
        "scouting/multicast/enabled": False,
        "scouting/delay": 0,
        "connect/timeout_ms": 2000,
        "listen/endpoints" if mode == "router" else "connect/endpoints": [endpoint],
        **settings,
    }.items():
        config.insert_json5(key, json.dumps(value))
    return zenoh.open(config)


def wait_for_links(manager: zenoh.Session, names: list[str]) -> None:
    """Until the manager has a link to each of these, by the name in its certificate, and no other."""
    limit = time.monotonic() + LIMIT
    while (linked := sorted(str(link.auth_identifier) for link in manager.info.links())) != sorted(names):
        assert time.monotonic() < limit, f"linked to {linked}"
        time.sleep(0.01)


@pytest.fixture
def router(made: Path) -> Iterator[tuple[zenoh.Session, str]]:
    endpoint = f"tls/127.0.0.1:{free_port()}"
    with session("router", endpoint, tls_settings(Credentials.load(made / "runtime-manager.json").tls)) as opened:
        yield opened, endpoint


@pytest.mark.parametrize("name", ["edge-a", "edge-b"])  # with addresses and without
def test_a_token_crosses_with_credentials(router: tuple[zenoh.Session, str], made: Path, name: str) -> None:
    manager, endpoint = router
    arrived: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    settings = tls_settings(Credentials.load(made / f"{name}.json").tls)
    with (
        manager.declare_subscriber("ticktalk/arc", lambda sample: arrived.put(sample.payload.to_bytes())),
        session("client", endpoint, settings) as edge,
    ):
        limit = time.monotonic() + LIMIT
        while True:
            edge.put("ticktalk/arc", b"token")
            try:
                assert arrived.get(timeout=0.05) == b"token"
                break
            except queue.Empty:
                assert time.monotonic() < limit, "no token arrived"
        # The name on the link: the manager can compare it with the name that joins.
        wait_for_links(manager, [name])


def stranger(made: Path, foreign: Path) -> dict[str, Any]:
    return tls_settings(Credentials.load(foreign / "edge-a.json").tls)


def stranger_who_knows_our_authority(made: Path, foreign: Path) -> dict[str, Any]:
    key = "transport/link/tls/root_ca_certificate_base64"
    return stranger(made, foreign) | {key: tls_settings(Credentials.load(made / "edge-a.json").tls)[key]}


def nobody(made: Path, foreign: Path) -> dict[str, Any]:
    config = tls_settings(Credentials.load(made / "edge-a.json").tls) | {"transport/link/tls/enable_mtls": False}
    return {key: value for key, value in config.items() if "connect_" not in key and "listen_" not in key}


@pytest.mark.parametrize("settings_of", [stranger, stranger_who_knows_our_authority, nobody])
def test_only_credentials_of_the_authority_connect(
    router: tuple[zenoh.Session, str], made: Path, foreign: Path, settings_of: Any
) -> None:
    manager, endpoint = router
    with pytest.raises(zenoh.ZError):
        session("client", endpoint, settings_of(made, foreign))
    assert not list(manager.info.links())


@pytest.mark.parametrize("settings_of", [stranger_who_knows_our_authority, nobody])
def test_a_router_that_checks_no_certificate_lets_the_same_two_in(made: Path, foreign: Path, settings_of: Any) -> None:
    """The same two connect to a router that asks for no certificate."""
    endpoint = f"tls/127.0.0.1:{free_port()}"
    careless = tls_settings(Credentials.load(made / "runtime-manager.json").tls) | {
        "transport/link/tls/enable_mtls": False
    }
    with session("router", endpoint, careless) as manager:
        settings = settings_of(made, foreign) | {"transport/link/tls/enable_mtls": False}
        with session("client", endpoint, settings):
            assert len(list(manager.info.links())) == 1


def test_an_expired_certificate_does_not_connect(keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at(monkeypatch, authority, timedelta(days=100))
    init_authority(tmp_path / "old")
    issue(tmp_path / "old", "edge-a", [], timedelta(days=30))
    at(monkeypatch, credentials, timedelta(days=90))  # so that its bundle is loaded all the same
    expired = tls_settings(Credentials.load(tmp_path / "old" / "edge-a.json").tls)
    manager = tls_settings(Credentials.load(tmp_path / "old" / "runtime-manager.json").tls)
    monkeypatch.undo()
    endpoint = f"tls/127.0.0.1:{free_port()}"
    valid = tls_settings(Credentials.load(issue(tmp_path / "old", "edge-b")).tls)
    with session("router", endpoint, manager) as opened:
        with pytest.raises(zenoh.ZError):
            session("client", endpoint, expired)
        assert not list(opened.info.links())
        with session("client", endpoint, valid):
            wait_for_links(opened, ["edge-b"])


def test_an_ensemble_cannot_pose_as_the_manager(made: Path) -> None:
    endpoint = f"tls/127.0.0.1:{free_port()}"
    posing = tls_settings(Credentials.load(made / "edge-b.json").tls)  # of the same authority, without this address
    with session("router", endpoint, posing), pytest.raises(zenoh.ZError):
        session("client", endpoint, tls_settings(Credentials.load(made / "edge-a.json").tls))
