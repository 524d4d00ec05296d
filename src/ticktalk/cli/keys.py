"""`ticktalk keys`: make an authority, issue credentials to ensembles, revoke them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.table import Table

from ticktalk.cli.streams import say
from ticktalk.cli.tables import terminal
from ticktalk.physical.trust import authority
from ticktalk.physical.trust.certificates import check_certificate_address, check_certificate_name

keys_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


def _name(name: str) -> str:
    try:
        return check_certificate_name(name)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _addresses(addresses: list[str] | None) -> list[str]:
    try:
        return [check_certificate_address(address) for address in addresses or []]
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


_Directory = Annotated[Path, typer.Option("--directory", metavar="DIR", help="The authority's folder.")]
_Address = Annotated[
    list[str] | None,
    typer.Option(
        "--address",
        metavar="IP",
        callback=_addresses,
        help="An IP address or host name at which others reach it; may be given more than once.",
    ),
]
_Name = Annotated[str, typer.Argument(metavar="NAME", callback=_name, help="The name the ensemble joins by.")]


@keys_app.command("init")
def init(directory: _Directory = authority.DIRECTORY, address: _Address = None) -> None:
    """Make an authority and the manager's credentials. Done once for a system."""
    path = authority.init_authority(directory, address or [])
    say(f"{directory}: made an authority; whoever has {directory / 'authority'} can let anybody take part")
    if not address:
        where = "" if directory == authority.DIRECTORY else f" --directory {directory}"
        say(
            "ensembles can reach the manager on loopback only; for more: "
            f"ticktalk keys issue runtime-manager --address IP{where}"
        )
    say("the manager's credentials:")
    print(path)


@keys_app.command("issue")
def issue(
    name: _Name,
    directory: _Directory = authority.DIRECTORY,
    address: _Address = None,
    role: Annotated[
        Literal["ensemble", "operator", "viewer"] | None,
        typer.Option(
            help="ensemble: joins under this name; operator: deploys, starts, stops; viewer: status and outputs. "
            "Default: the name's last role, or ensemble."
        ),
    ] = None,
    days: Annotated[
        int, typer.Option("--days", metavar="N", min=1, max=36_500, help="How long they are valid.")
    ] = authority.VALID_FOR.days,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Default: DIR/NAME.json.")
    ] = None,
) -> None:
    """Make credentials for an ensemble, an operator or a viewer. They are one file to copy there.

    Without --address, a name that had credentials keeps its addresses.
    """
    try:
        path = authority.issue(directory, name, address or None, timedelta(days=days), output, role)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    say(f"issued credentials to {name!r}, valid for {days} days; the file is a secret, copy it to its device:")
    print(path)


@keys_app.command("revoke")
def revoke(name: _Name, directory: _Directory = authority.DIRECTORY) -> None:
    """Revoke all credentials of a name; it can be issued new ones."""
    path = authority.revoke(directory, name)
    say(f"revoked the credentials of {name!r}; the manager must get the new revocation list:")
    print(path)


@keys_app.command("rotate")
def rotate(
    directory: _Directory = authority.DIRECTORY,
    days: Annotated[
        int, typer.Option("--days", metavar="N", min=1, max=3650, help="(2nd step) How long the former one is trusted.")
    ] = authority.OTHER_TRUSTED_FOR.days,
) -> None:
    """Renew the authority, in two steps without a pause. Each issues all credentials anew.

    Start each process again with its new file, in any order, before the second step and after it.
    """
    second, paths = authority.rotate(directory, timedelta(days=days))
    if second:
        say(f"2nd step: certificates are of the new authority; the former is trusted for {days} days")
        say("copy these files, and start each process again before that:")
    else:
        say("1st step: a new authority will be trusted, too, by all who have these files")
        say("copy them, start each process again, then call `ticktalk keys rotate` once more:")
    for path in paths:
        print(path)


@keys_app.command("list")
def list_command(directory: _Directory = authority.DIRECTORY) -> None:
    """List the certificates that were issued."""
    now = datetime.now(UTC)
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("Name", overflow="fold")
    table.add_column("Role", no_wrap=True)
    table.add_column("Serial", no_wrap=True, min_width=40)
    table.add_column("Expires", no_wrap=True, min_width=10)
    table.add_column("Revoked", no_wrap=True, min_width=10)
    for item in authority.issued(directory):
        table.add_row(
            item.name,
            item.role or "none: issue anew",
            item.serial,
            f"{item.expires:%Y-%m-%d}" + (" (expired)" if item.expires < now else ""),
            f"{item.revoked:%Y-%m-%d}" if item.revoked else "",
        )
    terminal().print(table)
