"""The command line. Each command imports what it needs when it runs, so that ``--help`` answers at once.

One file though it is long: it is the table of contents of the contract, and each command is one call.
"""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import typer

from pipelines.keys import keys_app
from pipelines.personal import user_app
from pipelines.servers import servers_app
from recommender.errors import FirstListenError

SYSTEM_TROUBLES = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS, errno.EPERM)

app = typer.Typer(
    name="firstlisten",
    help="Music recommendation that works for the track nobody has played yet.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
experiment_app = typer.Typer(help="Experiments on a workspace's own data.", no_args_is_help=True)
app.add_typer(experiment_app, name="experiment")
app.add_typer(keys_app, name="keys")
app.add_typer(servers_app, name="servers")
app.add_typer(user_app, name="user")

WorkspaceArgument = Annotated[Path, typer.Argument(metavar="W", help="The workspace: a folder.")]
TopOption = Annotated[int, typer.Option(min=1, help="How many tracks.")]
SeedOption = Annotated[int, typer.Option(help="Same seed, same result.")]
StoreOption = Annotated[
    str,
    typer.Option(
        metavar="URL",
        envvar="FIRSTLISTEN_STORE_URL",
        help="The listens' database, as postgresql://USER@HOST/NAME; a file of the workspace if left out.",
    ),
]
ConfigOption = Annotated[
    Path | None, typer.Option(help="Settings in TOML; without it W/firstlisten.toml is read where there is one.")
]


@app.command()
def demo(
    workspace: Annotated[Path, typer.Option(help="Where the demo world is built.")] = Path("firstlisten-demo"),
    serve: Annotated[bool, typer.Option("--serve/--no-serve", help="Serve the page at the end.")] = True,
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8000,
) -> None:
    """Build the embedded world, train on it, show what was learned, and serve it."""
    from pipelines import demo as job

    job.run(workspace, serving=serve, port=port)


@app.command()
def ingest(
    workspace: WorkspaceArgument,
    music: Annotated[Path | None, typer.Option(metavar="DIR", help="A folder of music.")] = None,
    listens: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="A listening history of another service; repeatable.")
    ] = None,
    user: Annotated[
        str | None, typer.Option(metavar="NAME", help="Whose histories they are; default: whom the file names.")
    ] = None,
    timezone: Annotated[
        str, typer.Option(metavar="ZONE", help="Of times in histories that are given without one: Europe/Berlin.")
    ] = "UTC",
    interactions: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Table of user_id, item_id[, weight, timestamp].")
    ] = None,
    tracks: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Table of item_id[, title, artist, album, duration_s, path].")
    ] = None,
    embeddings: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Table of item_id, embedding: used instead of audio.")
    ] = None,
    dataset: Annotated[
        list[str] | None, typer.Option(metavar="NAME:DIR", help="A public data set that was downloaded; repeatable.")
    ] = None,
) -> None:
    """Fill or extend a workspace; repeating it adds nothing twice."""
    from pipelines import console
    from pipelines import ingest as job
    from pipelines.workspace import open_workspace

    if not any((music, listens, interactions, tracks, embeddings, dataset)):
        raise typer.BadParameter(
            "nothing to ingest: give --music, --listens, --interactions, --tracks, --embeddings or --dataset"
        )
    datasets = [_dataset(text) for text in dataset or ()]
    for path in (music, *(listens or ()), interactions, tracks, embeddings, *(path for _, path in datasets)):
        if path is not None and not path.exists():
            raise typer.BadParameter(f"{path} does not exist")
    opened = open_workspace(workspace, create=True)
    with console.progress("Reading") as bar:
        report = job.run(
            opened,
            music=music,
            listens=tuple(listens or ()),
            user=user,
            zone=_zone(timezone),
            interactions=interactions,
            tracks=tracks,
            embeddings=embeddings,
            datasets=datasets,
            progress=bar,
        )
    for line in report.lines:
        console.out.print(line, markup=False)
    if report.problems:
        console.err.print(f"{len(report.problems)} things to know of, most of which could not be used:")
        console.warn(report.problems)
    console.out.print(
        f"{workspace}: {report.n_tracks} tracks, {report.n_users} users, {report.n_interactions} interactions"
        + (f"; {report.n_waiting} more name tracks that are not in the catalog" if report.n_waiting else "")
    )


@app.command()
def analyse(
    workspace: WorkspaceArgument,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; default: one a core.")] = None,
    retry: Annotated[bool, typer.Option(help="Try files again that failed before.")] = False,
) -> None:
    """Decode and embed every new or changed file; resume where it stopped."""
    from pipelines import train as job
    from pipelines.config import load_settings
    from pipelines.ears import ears_for
    from pipelines.workspace import open_workspace

    opened = open_workspace(workspace)
    clips = load_settings(opened.folder).clips
    job.analyse(opened, clips, ears=ears_for(opened, clips), workers=workers, retry=retry)


@app.command()
def train(
    workspace: WorkspaceArgument,
    config: ConfigOption = None,
    seed: Annotated[int | None, typer.Option(help="Same seed, same result; overrides the settings.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes for the analysis.")] = None,
    store: StoreOption = "",
) -> None:
    """Fit everything that the data allows; the new bundle becomes current if it is no worse."""
    from pipelines import train as job
    from pipelines.config import load_settings
    from pipelines.workspace import open_workspace

    opened = open_workspace(workspace, store=store)
    job.run(opened, load_settings(opened.folder, config).seeded(seed), workers=workers)


@app.command()
def preflight(
    workspace: WorkspaceArgument,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="The picture; default: W/preflight.png.")] = None,
    config: ConfigOption = None,
    seed: Annotated[int | None, typer.Option(help="Same seed, same result; overrides the settings.")] = None,
) -> None:
    """The checks to pass before a long training: the network, the learning rate, the data."""
    from pipelines import preflight as job
    from pipelines.config import load_settings
    from pipelines.workspace import open_workspace

    opened = open_workspace(workspace)
    job.run(opened, load_settings(opened.folder, config).seeded(seed), out=out)


@app.command()
def audit(
    workspace: WorkspaceArgument,
    labels: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Classes that files must not give away: item_id, label.")
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Write audit.json and audit.png.")] = None,
    files: Annotated[int, typer.Option(min=12, help="Files that are read at full rate.")] = 300,
    changed: Annotated[int, typer.Option(min=4, help="Files of which clips are changed and heard again.")] = 32,
    seed: SeedOption = 0,
    config: ConfigOption = None,
) -> None:
    """Find shortcuts: whether the model hears the music, or how the files were made."""
    from pipelines import audit as job
    from pipelines.config import load_settings
    from pipelines.workspace import open_workspace

    opened = open_workspace(workspace)
    settings = load_settings(opened.folder, config)
    job.run(opened, settings, labels=labels, out=out, files=files, changed=changed, seed=seed)


@app.command()
def evaluate(
    workspace: WorkspaceArgument,
    seeds: Annotated[int, typer.Option(min=1, help="Splits to average over.")] = 1,
    min_users: Annotated[int, typer.Option(min=1, help="Leave out tracks with fewer listeners.")] = 1,
    out: Annotated[Path | None, typer.Option(help="Write the table to a file too.")] = None,
    config: ConfigOption = None,
    off_policy: Annotated[
        bool, typer.Option("--off-policy", help="Judge a bundle by the server's log of shown lists instead.")
    ] = False,
    bundle: Annotated[str | None, typer.Option(metavar="VERSION", help="With --off-policy; default: current.")] = None,
    window_hours: Annotated[
        float, typer.Option(min=0.01, max=10_000, help="With --off-policy: a success is a play so soon after.")
    ] = 24.0,
    store: StoreOption = "",
) -> None:
    """Metrics of the current bundle's recipe against the baselines, on plays hidden from it."""
    if bundle is not None and not off_policy:
        raise typer.BadParameter("--bundle goes with --off-policy; without it the recipe is fitted again")
    if off_policy:
        from pipelines import off_policy as log_job
        from pipelines.workspace import open_workspace

        log_job.run(open_workspace(workspace, store=store), version=bundle, window_hours=window_hours, out=out)
        return
    from pipelines import evaluate as job
    from pipelines.config import load_settings
    from pipelines.workspace import open_workspace

    opened = open_workspace(workspace, store=store)
    job.run(opened, load_settings(opened.folder, config), seeds=seeds, min_users=min_users, out=out)


@app.command()
def recommend(
    workspace: WorkspaceArgument,
    user: Annotated[str | None, typer.Option(help="One user's id.")] = None,
    all_users: Annotated[bool, typer.Option("--all-users", help="Everyone, in blocks.")] = False,
    history: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Users to fold in: user_id, item_id[, weight].")
    ] = None,
    top: TopOption = 20,
    candidates: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Recommend only these: a table with item_id.")
    ] = None,
    include_heard: Annotated[bool, typer.Option("--include-heard", help="Heard tracks too.")] = False,
    max_per_artist: Annotated[int | None, typer.Option(min=1, help="Most tracks of one artist in a list.")] = None,
    artist_gap: Annotated[int, typer.Option(min=0, help="Tracks between two of one artist, where possible.")] = 1,
    diversity: Annotated[float, typer.Option(min=0, max=1, help="0 the best scores, 1 the least alike.")] = 0.3,
    discovery: Annotated[float, typer.Option(min=0, max=1, help="Exposure of new tracks: 0 hardly any.")] = 0.5,
    calibration: Annotated[float, typer.Option(min=0, max=1, help="1 follows the user's own mix of kinds.")] = 0.1,
    popularity: Annotated[float, typer.Option(min=-1, max=1, help="Below 0 fewer popular tracks, above more.")] = 0.0,
    distaste: Annotated[float, typer.Option(min=0, max=1, help="How much skips hold back what is like them.")] = 1.0,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write .parquet, .csv or .jsonl.")] = None,
    store: StoreOption = "",
) -> None:
    """Recommendations for one user, for everyone, or for the listeners of a file."""
    if (user is not None) + all_users + (history is not None) != 1:
        raise typer.BadParameter("give exactly one of --user, --all-users and --history")
    if user is None and out is None:
        raise typer.BadParameter("lists for several users need --out FILE")
    from pipelines import recommend as job
    from pipelines.workspace import open_workspace

    job.run(
        open_workspace(workspace, store=store),
        user=user,
        history=history,
        top=top,
        candidates=candidates,
        include_heard=include_heard,
        max_per_artist=max_per_artist,
        artist_gap=artist_gap,
        diversity=diversity,
        calibration=calibration,
        discovery=discovery,
        popularity=popularity,
        distaste=distaste,
        out=out,
    )


@app.command()
def similar(
    workspace: WorkspaceArgument,
    track: Annotated[str, typer.Argument(metavar="TRACK_ID|AUDIO_FILE", help="A track's id, or any audio file.")],
    top: TopOption = 20,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write .parquet, .csv or .jsonl.")] = None,
) -> None:
    """What sounds like a track or a file, with the seconds that match; needs no training."""
    from pipelines import similar as job
    from pipelines.workspace import open_workspace

    job.run(open_workspace(workspace), track, top=top, out=out)


@app.command()
def embed(
    audio: Annotated[list[Path], typer.Argument(metavar="AUDIO...", help="Audio files.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="Write .parquet, .csv or .jsonl.")],
    workspace: Annotated[
        Path | None, typer.Option(metavar="W", help="Use this workspace's model, not the shipped one.")
    ] = None,
) -> None:
    """Vectors for any files: one row a clip, and one a track with an empty start_s."""
    from pipelines import embed as job
    from pipelines.workspace import open_workspace

    job.run(audio, out, None if workspace is None else open_workspace(workspace))


@app.command()
def playlist(
    workspace: WorkspaceArgument,
    track: Annotated[list[str] | None, typer.Option(help="A seed track's id; repeatable.")] = None,
    artist: Annotated[list[str] | None, typer.Option(help="A seed artist; repeatable.")] = None,
    user: Annotated[
        list[str] | None, typer.Option(help="Start from this user's taste; several are a party, nobody's hated track.")
    ] = None,
    file: Annotated[list[Path] | None, typer.Option(help="An audio file to start from; repeatable.")] = None,
    length: Annotated[int | None, typer.Option(min=1, help="How many tracks; 25 without --minutes.")] = None,
    minutes: Annotated[float | None, typer.Option(min=1, help="At most this long.")] = None,
    max_per_artist: Annotated[int, typer.Option(min=1, help="Most tracks of one artist.")] = 3,
    artist_spacing: Annotated[int, typer.Option(min=0, help="Tracks between two of one artist.")] = 2,
    album_spacing: Annotated[int, typer.Option(min=0, help="Tracks between two of one album.")] = 0,
    tempo: Annotated[str | None, typer.Option(metavar="A-B", help="Beats a minute: 120-130, 120- or -130.")] = None,
    key: Annotated[str, typer.Option(metavar="8A,…", help="What goes with these on the Camelot wheel.")] = "",
    energy: Annotated[str | None, typer.Option(metavar="A-B", help="0 to 1: shares of the library with less.")] = None,
    year: Annotated[str | None, typer.Option(metavar="A-B", help="Of release: 1990-1999.")] = None,
    genre: Annotated[list[str] | None, typer.Option(help="A word of its genre; of several, one.")] = None,
    include: Annotated[list[str] | None, typer.Option(help="This track must be in it; repeatable.")] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="Leave this track out; repeatable.")] = None,
    exclude_artist: Annotated[list[str] | None, typer.Option(help="Leave this artist out; repeatable.")] = None,
    exclude_genre: Annotated[list[str] | None, typer.Option(help="Leave this genre out; repeatable.")] = None,
    unheard: Annotated[bool, typer.Option(help="Only what the users have not heard.")] = False,
    not_played_days: Annotated[float | None, typer.Option(min=0, help="Not what was played so lately.")] = None,
    variety: Annotated[float | None, typer.Option(min=0, max=1, help="How unlike its tracks are to be.")] = None,
    soft: Annotated[
        str | None,
        typer.Option(
            metavar="RULE,…",
            help="What may give way where tracks are missing, of energy, key, tempo, year, genre, max_per_artist, "
            "recent, unheard, album_spacing, artist_spacing, and always in this order; none: nothing. Default: "
            "max_per_artist, recent and both spacings.",
        ),
    ] = None,
    arc: Annotated[
        str,
        typer.Option(metavar="none|flat|rising|falling|peak", help="How energy moves; peak: warm-up, peak, cool-down."),
    ] = "none",
    start: Annotated[str | None, typer.Option("--from", metavar="ID", help="A path from this track, to --to.")] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="ID", help="Where the path ends.")] = None,
    steps: Annotated[int, typer.Option(min=2, help="How many tracks a path has, both ends included.")] = 10,
    seed: SeedOption = 0,
    name: Annotated[str | None, typer.Option(help="The playlist's name.")] = None,
    absolute: Annotated[
        bool | None,
        typer.Option("--absolute/--relative", help="How paths are written; default: relative in M3U, else absolute."),
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write .m3u8, .xspf or .jspf.")] = None,
) -> None:
    """One playlist from seeds and rules, or a path from one track to another."""
    if (start is None) != (end is None):
        raise typer.BadParameter("a path needs both --from and --to")
    if bool(track or artist or user or file) == (start is not None):
        raise typer.BadParameter("give seeds (--track, --artist, --user or --file), or a path (--from and --to)")
    from pipelines import playlists as job
    from pipelines.workspace import open_workspace
    from recommender.errors import RulesError

    if start is not None and end is not None:
        job.path(
            open_workspace(workspace),
            start=start,
            end=end,
            steps=steps,
            exclude=tuple(exclude or ()),
            seed=seed,
            name=name,
            absolute=absolute,
            out=out,
        )
        return
    try:
        asked = job.Asked(
            tracks=tuple(track or ()),
            artists=tuple(artist or ()),
            users=tuple(dict.fromkeys(user or ())),
            files=tuple(file or ()),
            length=25 if length is None and minutes is None else length,
            minutes=minutes,
            max_per_artist=max_per_artist,
            artist_spacing=artist_spacing,
            album_spacing=album_spacing,
            tempo=job.span_of(tempo) if tempo else None,
            key=_listed(key),
            energy=job.span_of(energy) if energy else None,
            year=job.span_of(year) if year else None,
            genre=tuple(genre or ()),
            include=tuple(include or ()),
            exclude=tuple(exclude or ()),
            exclude_artists=tuple(exclude_artist or ()),
            exclude_genres=tuple(exclude_genre or ()),
            unheard=unheard,
            not_played_days=not_played_days,
            variety=variety,
            arc=arc,
            soft=None if soft is None else tuple(rule for rule in _listed(soft) if rule != "none"),
        )
        job.build(open_workspace(workspace), asked, seed=seed, name=name, absolute=absolute, out=out)
    except RulesError as error:
        raise typer.BadParameter(str(error)) from None


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


@app.command()
def playlists(
    workspace: WorkspaceArgument,
    all_users: Annotated[bool, typer.Option("--all-users", help="Playlists for everyone.")] = False,
    length: Annotated[int, typer.Option(min=1, help="Tracks in a playlist.")] = 50,
    kinds: Annotated[
        str, typer.Option(metavar="A,B:N", help="Of discovery, familiar, new; each with its own length if need be.")
    ] = "discovery,familiar,new",
    formats: Annotated[
        str, typer.Option(metavar="A,B", help="Of m3u8, m3u, xspf, jspf; none for the table alone.")
    ] = "m3u8",
    week: Annotated[str | None, typer.Option(metavar="2026-W47", help="Whose lists; default: this week's.")] = None,
    no_repeat_weeks: Annotated[int, typer.Option(min=0, help="For so many weeks no track comes again.")] = 4,
    seed: SeedOption = 0,
    absolute: Annotated[
        bool | None,
        typer.Option("--absolute/--relative", help="How paths are written; default: relative in M3U, else absolute."),
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; default: one a core.")] = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Default: W/playlists.")] = None,
) -> None:
    """The weekly batch for everyone: a discovery list, a familiar mix, new releases; files and one Parquet table."""
    if not all_users:
        raise typer.BadParameter("give --all-users; for one user there is: firstlisten playlist W --user U")
    from pipelines import playlist_batch as job
    from pipelines.workspace import open_workspace

    opened = open_workspace(workspace)
    job.run(
        opened,
        out or opened.folder / "playlists",
        length=length,
        seed=seed,
        absolute=absolute,
        kinds=kinds,
        formats=formats,
        week=week,
        no_repeat_weeks=no_repeat_weeks,
        workers=workers,
    )


@experiment_app.command("cold-start")
def cold_start(
    workspace: WorkspaceArgument,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where report.json, tables and plots go.")],
    seeds: Annotated[
        int | None,
        typer.Option(min=1, help="Splits to average over; default: 5, with --split time 1."),
    ] = None,
    fraction: Annotated[float, typer.Option(min=0.01, max=0.9, help="Share of tracks, and of users, made cold.")] = 0.2,
    min_users: Annotated[int, typer.Option(min=1, help="A cold track has at least so many listeners.")] = 5,
    split: Annotated[str, typer.Option(metavar="random|time|artist", help="Which tracks go cold together.")] = "random",
    tasks: Annotated[
        str, typer.Option(metavar="A,B", help="Of cold, mixed, warm, tracks, users; default: all but warm.")
    ] = "",
    methods: Annotated[str, typer.Option(metavar="A,B", help="Only these methods, by their names in the tables.")] = "",
    methods_from: Annotated[
        Path | None,
        typer.Option(metavar="FILE.py", help="Further methods: functions name(task, fits) -> rank."),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Let tracks and users lose their plays, and see which method knows them all the same."""
    from pipelines import experiment as job
    from pipelines.config import load_settings
    from pipelines.workspace import open_workspace

    opened = open_workspace(workspace)
    job.cold_start(
        opened,
        load_settings(opened.folder, config),
        out,
        seeds=seeds,
        fraction=fraction,
        min_users=min_users,
        split=split,
        tasks=tuple(name.strip() for name in tasks.split(",") if name.strip()),
        methods=tuple(name.strip() for name in methods.split(",") if name.strip()),
        methods_from=methods_from,
    )


@experiment_app.command("compare")
def compare_experiments(
    first: Annotated[Path, typer.Argument(metavar="DIR_A", help="The folder of one experiment.")],
    second: Annotated[Path, typer.Argument(metavar="DIR_B", help="The folder of another.")],
    unpaired: Annotated[bool, typer.Option("--unpaired", help="Go on where they were measured on other data.")] = False,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write .parquet, .csv or .jsonl.")] = None,
) -> None:
    """Two experiments side by side: differences by task, method and metric, with intervals."""
    from pipelines import experiment as job

    job.compare(first, second, unpaired=unpaired, out=out)


@app.command()
def export(
    workspace: WorkspaceArgument,
    what: Annotated[str, typer.Argument(metavar="embeddings|factors|signature|onnx")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="Tables: .parquet, .csv or .jsonl; the network: .onnx.")],
    bundle: Annotated[str | None, typer.Option(metavar="VERSION", help="Of this bundle; default: current.")] = None,
) -> None:
    """A bundle's embeddings, factors, signatures (tempo, key, loudness and so on) or network, for other tools."""
    if what not in ("embeddings", "factors", "signature", "onnx"):
        raise typer.BadParameter(f"cannot export {what!r}; there are embeddings, factors, signature and onnx")
    from pipelines import publish as job
    from pipelines.workspace import open_workspace

    opened = open_workspace(workspace)
    if what == "onnx":
        job.export_network(opened, out, bundle)
    else:
        job.export(opened, what, out, bundle)


@app.command()
def bundles(
    workspace: WorkspaceArgument,
    action: Annotated[str, typer.Argument(metavar="list|use|compare")] = "list",
    version: Annotated[str | None, typer.Argument(metavar="VERSION")] = None,
    other: Annotated[str | None, typer.Argument(metavar="OTHER", help="To compare VERSION with.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a comparison as JSON.")] = False,
) -> None:
    """The trained bundles: list them, make one of them current, or compare two."""
    from pipelines import publish as job
    from pipelines.workspace import open_workspace

    opened = open_workspace(workspace)
    if action == "compare" and version is not None and other is not None:
        from pipelines import compare_bundles

        compare_bundles.run(opened, version, other, as_json=as_json)
    elif action == "use" and version is not None and other is None:
        job.use(opened, version)
    elif action == "list" and version is None:
        job.show(opened)
    else:
        raise typer.BadParameter("say: bundles W list, bundles W use VERSION, or bundles W compare VERSION OTHER")


@app.command()
def serve(
    workspace: WorkspaceArgument,
    host: Annotated[str, typer.Option(help="Address to listen on.", envvar="FIRSTLISTEN_HOST")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, envvar="FIRSTLISTEN_PORT")] = 8000,
    workers: Annotated[int, typer.Option(min=1, help="Server processes.", envvar="FIRSTLISTEN_WORKERS")] = 1,
    explore: Annotated[
        float, typer.Option(min=0, max=1, help="Share of each list that tries something.", envvar="FIRSTLISTEN_EXPLORE")
    ] = 0.1,
    require_keys: Annotated[
        bool,
        typer.Option(
            "--require-keys",
            envvar="FIRSTLISTEN_REQUIRE_KEYS",
            help="Ask for API keys on this machine too; elsewhere they are required.",
        ),
    ] = False,
    trusted_proxies: Annotated[
        str,
        typer.Option(
            metavar="A,B",
            envvar="FIRSTLISTEN_TRUSTED_PROXIES",
            help="Addresses of proxies whose X-Forwarded-For is believed.",
        ),
    ] = "",
    store: StoreOption = "",
    log: Annotated[
        bool,
        typer.Option(
            "--log/--no-log", envvar="FIRSTLISTEN_LOG_SERVED", help="Keep what was shown, for evaluate --off-policy."
        ),
    ] = True,
    log_days: Annotated[
        int, typer.Option(min=1, max=10_000, help="Days for which it is kept.", envvar="FIRSTLISTEN_SERVED_DAYS")
    ] = 90,
) -> None:
    """The recommendation API and its page."""
    from pipelines import serve as job
    from pipelines.workspace import open_workspace

    job.run(
        open_workspace(workspace),
        host=host,
        port=port,
        workers=workers,
        require_keys=require_keys,
        trusted_proxies=trusted_proxies,
        explore=explore,
        log_served=log,
        served_days=log_days,
        **({"store_url": store} if store else {}),
    )


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise typer.BadParameter(f"{name!r} is no time zone; give one like Europe/Berlin or UTC") from None


def _dataset(text: str) -> tuple[str, Path]:
    from recommender.data.datasets import DATASETS

    name, _, place = text.partition(":")
    if name not in DATASETS:
        raise typer.BadParameter(f"--dataset: unknown data set {name!r}; known are {', '.join(DATASETS)}")
    if not place:
        raise typer.BadParameter(f"--dataset {name}: say where it is, as in --dataset {name}:DIR")
    return name, Path(place).expanduser()


def main() -> None:
    """Run the command line: exit 0 done, 1 a named error in one line on standard error, 2 wrong usage."""
    try:
        app()
    except FirstListenError as error:
        _fail(str(error))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except KeyboardInterrupt:
        _fail("stopped; what was finished is kept, run the command again to go on", status=130)
    except MemoryError:
        _fail("out of memory; close other programs or use a smaller workspace")
    except OSError as error:
        place = error.filename2 or error.filename
        if error.errno in SYSTEM_TROUBLES:
            _fail(f"{error.strerror}: {place or 'the workspace'}; nothing was written half, free it and run again")
        if place is None:
            raise
        _fail(f"{place} cannot be used: {error.strerror}; give another path")


def _fail(message: str, status: int = 1) -> None:
    sys.stderr.write(f"firstlisten: {' '.join(message.split())}\n")
    sys.exit(status)
