"""What a workspace's server keeps of a user: tell it, or erase it. A part of the command line."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

user_app = typer.Typer(help="What is kept of a user: export it, or erase it.", no_args_is_help=True)
UserArgument = Annotated[str, typer.Argument(metavar="USER", help="The user's id.")]


@user_app.callback()
def _choose_store(
    context: typer.Context,
    workspace: Annotated[Path, typer.Argument(metavar="W", help="The workspace: a folder.")],
    store: Annotated[
        str | None, typer.Option(metavar="URL", help="The listens' database; default: the workspace's own.")
    ] = None,
) -> None:
    context.obj = (workspace, store)


@user_app.command()
def export(
    context: typer.Context,
    user: UserArgument,
    out: Annotated[Path, typer.Option(metavar="FILE", help="Written as lines of JSON, each a listen or the like.")],
) -> None:
    """Write everything that is kept of a user: listens, verdicts, lists that were shown, and imported plays."""
    import json

    from pipelines import console
    from pipelines.workspace import open_workspace
    from recommender.data.storage import atomic_path
    from recommender.playlists.weeks import GivenLists
    from recommender.serving import keys  # noqa: F401 - its table holds what is personal too
    from recommender.serving.store import Store

    workspace, url = context.obj
    opened = open_workspace(workspace)
    lines = 0
    with atomic_path(out) as part, part.open("w", encoding="utf-8") as file:
        if url or opened.has_store:
            with closing(Store.open(url or opened.store_url)) as store:
                following: str | None = ""
                while following is not None:
                    records, following = store.data_of(user, following, 10_000)
                    for record in records:
                        file.write(json.dumps({"kind": record.kind, **record.data}, ensure_ascii=False) + "\n")
                    lines += len(records)
        plays = opened.interaction_table()
        plays = plays[plays["user_id"] == user].drop(columns="user_id")
        for play in plays.to_dict("records"):
            file.write(json.dumps({"kind": "plays", **play}, ensure_ascii=False, default=str) + "\n")
        given = GivenLists(opened.given_lists).of_user(user)
        for one in given:
            file.write(json.dumps({**one, "kind": "weekly playlists", "list": one["kind"]}, ensure_ascii=False) + "\n")
    console.out.print(f"{lines + len(plays) + len(given)} lines about {user!r} are in {out}", markup=False)


@user_app.command()
def erase(context: typer.Context, user: UserArgument) -> None:
    """Delete all that is kept of a user; running servers follow within seconds, the model with the next training."""
    from pipelines import console
    from pipelines.workspace import open_workspace
    from recommender.playlists.weeks import GivenLists
    from recommender.serving.store import Store

    workspace, url = context.obj
    opened = open_workspace(workspace)
    with closing(Store.open(url or opened.store_url)) as store:
        erased = dict(store.erase(user))
    erased["weekly playlists"] = GivenLists(opened.given_lists).erase(user)
    told = ", ".join(f"{count} {kind}" for kind, count in erased.items() if count) or "nothing was stored"
    console.out.print(f"erased: {told}", markup=False)
    console.out.print(f"what the model learned goes with: firstlisten train {workspace}", markup=False)
