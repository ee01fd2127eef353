"""API keys of a workspace's server: make one, list them, revoke one. A part of the command line."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recommender.errors import DataError

if TYPE_CHECKING:
    from recommender.serving.keys import Key

keys_app = typer.Typer(help="API keys: who may ask the server for what.", no_args_is_help=True)


@keys_app.callback()
def _choose_store(
    context: typer.Context,
    workspace: Annotated[Path, typer.Argument(metavar="W", help="The workspace: a folder.")],
    store: Annotated[
        str | None, typer.Option(metavar="URL", help="The listens' database; default: the workspace's own.")
    ] = None,
) -> None:
    context.obj = (workspace, store)


@keys_app.command()
def create(
    context: typer.Context,
    name: Annotated[str, typer.Option(help="What it is for, such as 'web shop'.")],
    scope: Annotated[list[str], typer.Option(help="read, listen, upload or admin; repeatable.")],
    user: Annotated[str | None, typer.Option(help="The one user that it may speak of.")] = None,
    expires_days: Annotated[float | None, typer.Option(help="It ends by itself; default: never.")] = None,
) -> None:
    """Make a key and print it: it is shown once, only its hash is kept."""
    from pipelines import console
    from recommender.serving.keys import Keyring
    from recommender.serving.store import Store

    with closing(Store.open(_store_url(context))) as store:
        key, text = Keyring(store).create(name, scope, user, expires_days)
    typer.echo(text)
    of_whom = "" if user is None else f", for the user {user!r} only"
    console.err.print(
        f"The key {key.key_id} may {' '.join(sorted(key.scopes))}{of_whom}. It is not shown again; send it as "
        "'Authorization: Bearer KEY'.",
        markup=False,
    )


@keys_app.command()
def password(context: typer.Context, key_id: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """Print the password that goes with a key of one user, for Subsonic players that take no API keys."""
    from pipelines.workspace import open_workspace
    from recommender.serving.keys import Keyring, player_password
    from recommender.serving.settings import VARIABLE_PREFIX
    from recommender.serving.store import Store

    with closing(Store.open(_store_url(context))) as store:
        key = next((each for each in Keyring(store).all() if each.key_id == key_id), None)
    if key is None or key.user_id is None:
        trouble = f"there is no key {key_id!r}" if key is None else f"the key {key_id} is bound to no user"
        raise DataError(f"{trouble}; firstlisten keys W list shows them, create --user NAME makes one")
    secret = os.environ.get(f"{VARIABLE_PREFIX}PLAYER_SECRET") or open_workspace(context.obj[0]).player_secret()
    typer.echo(player_password(key, secret))


@keys_app.command("list")
def show(context: typer.Context) -> None:
    """List the keys, without what is secret of them."""
    from pipelines import console
    from recommender.serving.keys import Keyring
    from recommender.serving.store import Store

    with closing(Store.open(_store_url(context))) as store:
        found = Keyring(store).all()
    columns = ("id", "name", "scopes", "user", "made", "last used", "state")
    console.table("API keys", columns, [_row(key) for key in found])


@keys_app.command()
def revoke(context: typer.Context, key_id: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """Make a key worthless, on every running server within seconds."""
    from pipelines import console
    from recommender.serving.keys import Keyring
    from recommender.serving.store import Store

    with closing(Store.open(_store_url(context))) as store:
        if not Keyring(store).revoke(key_id):
            raise DataError(f"there is no key {key_id!r} that could be revoked; firstlisten keys W list shows them")
    console.out.print(f"{key_id} is revoked", markup=False)


def _store_url(context: typer.Context) -> str:
    from pipelines.workspace import open_workspace

    workspace, store = context.obj
    return store or open_workspace(workspace).store_url


def _row(key: Key) -> tuple[str, ...]:
    import time

    from rich.markup import escape

    now_ms = time.time_ns() // 1_000_000
    state = "revoked" if key.revoked_at_ms else "valid" if key.is_valid(now_ms) else "expired"
    if state == "valid" and key.expires_at_ms is not None:
        state = f"valid until {_day(key.expires_at_ms)}"
    scopes = " ".join(sorted(key.scopes))
    user = "any" if key.user_id is None else escape(key.user_id)
    return (key.key_id, escape(key.name), scopes, user, _day(key.created_at_ms), _day(key.used_at_ms), state)


def _day(at_ms: int | None) -> str:
    from datetime import UTC, datetime

    return "never" if at_ms is None else datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d")
